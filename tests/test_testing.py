"""The contracts for authors: what is sound passes, and each thing that may be broken is named."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import jaxopt_course as joc
from jaxopt_course.sweeps.judges import Halvings
from jaxopt_course.testing import check_scheduler, check_task, check_transformation

W = {"w": np.float32([1.0, -2.0])}
broken = functools.partial(pytest.raises, AssertionError)
rule = lambda update, init=lambda p: (): optax.GradientTransformation(init, update)


@jax.custom_batching.custom_vmap
def gossip(x):
    """The identity; in lanes what is left without their mean."""
    return x


@gossip.def_vmap
def _(size, batched, x):
    return jax.tree.map(lambda x: x - x.mean(0)[None], x), batched[0]


spoken = jax.custom_vjp(gossip)
spoken.defvjp(lambda x: (gossip(x), ()), lambda _, g: (g,))


# --- transformations ---


@pytest.mark.parametrize(
    "made, numbers",
    [
        pytest.param(contrib.muon, {"learning_rate": 0.02, "beta": 0.9}, marks=pytest.mark.long),
        (contrib.momo, {"learning_rate": 0.1}),  # asks for the loss
        pytest.param(contrib.cocob, {"learning_rate": 1.0}, marks=pytest.mark.soak),
        pytest.param(contrib.dadapt_adamw, {"learning_rate": 1.0}, marks=pytest.mark.soak),
        pytest.param(contrib.dog, {"learning_rate": 1.0}, marks=pytest.mark.soak),
        pytest.param(contrib.madgrad, {"learning_rate": 0.1}, marks=pytest.mark.soak),
        pytest.param(contrib.sophia, {"learning_rate": 0.1}, marks=pytest.mark.soak),
        pytest.param(contrib.schedule_free_sgd, {"learning_rate": 0.1}, marks=pytest.mark.soak),
    ],
)
def test_optax_s_own_pass(made, numbers):
    check_transformation(made, numbers)


def test_a_transformation_of_one_s_own_passes_whatever_it_trains():
    check_transformation(joc.sgd(0.1, momentum=0.9), params=jnp.ones(3))
    check_transformation(optax.MultiSteps(optax.sgd(0.1), 2), params=W)


@pytest.mark.parametrize("made", [contrib.prodigy, contrib.normalize])
def test_optax_s_that_divide_by_nothing_are_found(made):
    with broken(match="gradient of zeros at w are not finite.*add an epsilon"):
        check_transformation(made(), params=W)


def counting(calls):
    def update(g, s, p=None):
        calls.append(1)
        return jax.tree.map(lambda x: x * len(calls), g), s

    return update


def keeping(kept):
    def init(params):
        kept["start"] = params
        return ()

    return rule(lambda g, s, p=None: (jax.tree.map(jnp.add, g, kept["start"]), s), init)


def drawing(g, s, p=None):
    noise = lambda x: jax.pure_callback(
        lambda: np.random.default_rng().normal(size=x.shape).astype(x.dtype), x
    )
    return jax.tree.map(noise, g), s


def half(x):
    return jnp.asarray(x, jnp.float32) / 2


NARROW = r"updates at w are float32 \(2,\), and the gradient bfloat16 \(2,\)"
TRANSFORMATIONS = {
    "a function": (optax.adam, "it is a function: call it, or give its numbers"),
    "nothing of the kind": (3, "tx is int, and no optax.GradientTransformation"),
    "a word in the state": (
        rule(lambda g, s, p=None: (g, s), lambda p: {"kind": "mine"}),
        "state at kind is str",
    ),
    "a wider update": (rule(lambda g, s, p=None: (jax.tree.map(half, g), s)), NARROW),
    "a leaf less": (rule(lambda g, s, p=None: ({}, s)), "updates have no leaf w"),
    "a leaf more": (
        rule(lambda g, s, p=None: ({**g, "b": g["w"]}, s)),
        "updates have a leaf b, which the gradient has not",
    ),
    "a state that changes": (
        rule(lambda g, s, p=None: (g, {"n": s["n"] + 1.0}), lambda p: {"n": jnp.int32(0)}),
        "after a step, for parameters of float32, at n are float32 .* and the state of init int32",
    ),
    "NumPy": (
        rule(lambda g, s, p=None: (jax.tree.map(np.sign, jax.tree.map(np.asarray, g)), s)),
        "update, for parameters of float32, must be written with jax.numpy",
    ),
    "a memory of its own": (keeping({}), "kept outside the state"),
    "a counter": (rule(counting([])), "another program when it is traced again"),
    "a draw": (rule(drawing), "updates of step 0 of two runs differ at w"),
    "a gossip": (
        rule(lambda g, s, p=None: (gossip(g), s)),
        "updates of step 0 in lane 0 and alone differ at w",
    ),
    "an error": (rule(lambda g, s, p=None: (g["v"], s)), "fails with KeyError: 'v'"),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_broken_transformation_is_named(name):
    tx, message = TRANSFORMATIONS[name]
    with broken(match=message):
        check_transformation(tx, params=W)


def test_numbers_that_are_no_data_are_named():
    asks = lambda learning_rate, b1: optax.sgd(learning_rate if b1 > 0.5 else 0.0)
    with broken(match="the number 'b1', where it is traced, must be written with jax.numpy"):
        check_transformation(asks, {"learning_rate": 0.1, "b1": 0.9}, params=W)
    parts = lambda learning_rate: optax.sgd(
        learning_rate if isinstance(learning_rate, float) else 2 * learning_rate
    )
    with broken(match="literal numbers and with traced ones differ at w"):
        check_transformation(parts, {"learning_rate": 0.1}, params=W)
    with broken(match="the function of the numbers fails with TypeError.*learning_rat"):
        check_transformation(optax.sgd, {"learning_rat": 0.1}, params=W)
    with broken(match="with numbers= give the function"):
        check_transformation(optax.sgd(0.1), {"learning_rate": 0.1}, params=W)


# --- tasks ---

X = {"x": np.random.default_rng(0).normal(size=(8, 2)).astype("float32")}
distance = lambda params, batch: jnp.mean((params["w"][None] - batch["x"]) ** 2)


def bowl(**changes):
    plain = {
        "name": "bowl",
        "init": lambda key: ({"w": jax.random.normal(key, (2,))}, {}),
        "loss": lambda params, state, batch, key: (distance(params, batch), (state, {})),
        "evaluate": lambda params, state, data: {"loss": distance(params, data)},
        **dict.fromkeys(("train", "valid", "test"), X),
        "metrics": {"loss": "min"},
    }
    return joc.Task(**plain | changes)


def of_loss(value):
    """The task with another loss of (params, batch)."""
    return bowl(loss=lambda params, state, batch, key: (value(params, batch), (state, {})))


def two(value):
    start = lambda key: ({"w": jax.random.normal(key, (2,)), **value}, {})
    return bowl(init=start)


FAR = np.zeros(20_000, np.float32)
TASKS = {
    "another thing": (lambda: joc.grid(seed=[0]), "is DataFrame, and no joc.Task"),
    "a small train part": (bowl, "batch_size=9 is larger than the 8 examples"),
    "whole parameters": (
        lambda: two({"n": jnp.arange(3)}),
        "parameter n is int32, which no gradient can change",
    ),
    "an idle parameter": (lambda: two({"b": jnp.ones(1)}), "no gradient reaches the parameter b"),
    "dice": (
        lambda: bowl(
            init=lambda key: ({"w": jnp.asarray(np.random.default_rng().normal(size=2))}, {})
        ),
        "init is another program when it is traced again",
    ),
    "no logarithm": (
        lambda: of_loss(lambda p, b: jnp.log(-jnp.sum(p["w"] ** 2))),
        "losses of step 0 at .* are not finite",
    ),
    "a root's slope": (
        lambda: of_loss(lambda p, b: distance(p, b) + jnp.sum(jnp.sqrt(0 * p["w"]))),
        "gradients of step 0 at w are not finite",
    ),
    "data in the closure": (
        lambda: of_loss(lambda p, b: distance(p, b) + jnp.sum(p["w"][0] * jnp.asarray(FAR))),
        r"loss holds an array \(20000,\) as a constant",
    ),
    "a sum": (
        lambda: of_loss(lambda p, b: jnp.sum((p["w"][None] - b["x"]) ** 2)),
        "it is a sum over the examples",
    ),
    "an undefined metric": (
        lambda: bowl(evaluate=lambda p, s, d: {"loss": jnp.log(0 * p["w"][0])}),
        "metrics on valid at loss are not finite",
    ),
    "a gossip": (
        lambda: of_loss(lambda p, b: distance({"w": spoken(p["w"])}, b)),
        "of step 0 in lane 0 and alone differ at",
    ),
    "a column": (
        lambda: bowl(loss=lambda p, s, b, key, h: (h["scale"] * distance(p, b), (s, {}))),
        "reads column 'scale', which the table does not have",
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_broken_task_is_named(name):
    make, message = TASKS[name]
    with broken(match=message):
        check_task(make(), batch_size=9 if "train part" in name else 4)


def test_sound_tasks_pass():
    check_task(joc.load_task("line"), batch_size=5)
    column = lambda p, s, b, key, h: (h["scale"] * distance(p, b), (s, {}))
    check_task(bowl(loss=column), {"scale": 0.5}, batch_size=4)
    check_task(two({"b": jnp.ones(1)}), batch_size=4, without_gradient=["b"])


@pytest.mark.soak
@pytest.mark.parametrize("name", ["digits", "wine", "breast_cancer", "diabetes"])
def test_our_tasks_pass(name):
    check_task(joc.load_task(name))


# --- schedulers ---


@pytest.mark.parametrize(
    "scheduler",
    [
        joc.SuccessiveHalving(),
        joc.Hyperband(eta=2.5),
        joc.ASHA(eta=4, min_steps=20),
        joc.MedianStopping(),
        joc.Patience(3),
        joc.PBT(20, ["learning_rate"]),
    ],
    ids=lambda scheduler: type(scheduler).__name__,
)
def test_our_schedulers_pass(scheduler):
    check_scheduler(scheduler)
    check_scheduler(scheduler, configurations=1)


@dataclasses.dataclass
class Half:
    """The better half goes on from the middle; what is broken is a field or a subclass."""

    settings: object = 2

    def judge(self, configurations, intervals, evaluate_every):
        return HalfJudge(configurations, intervals)


class HalfJudge:
    def __init__(self, configurations, intervals):
        self.middle, self.intervals = intervals // 2, intervals
        self.first = [self.middle] * configurations
        self.order = list(range(configurations))
        self.heard = {}

    def hear(self, who, rung, curve):
        if rung == self.intervals:
            return {}
        self.heard[who] = float(curve[-1])
        return self.decide(who) if len(self.heard) == len(self.order) else {}

    def decide(self, who):
        ranked = sorted(self.order, key=self.heard.get)
        best = [one for one in ranked[: -(-len(ranked) // 2)] if self.heard[one] < math.inf]
        return {one: self.intervals if one in best else 0 for one in self.order}


def of(**methods):
    """A scheduler whose judge has other methods."""
    judge = type("Judge", (HalfJudge,), methods)
    return type("Mine", (Half,), {"judge": lambda self, n, intervals, _: judge(n, intervals)})()


def backwards(self, who):
    ranked = sorted(self.order, key=self.heard.get)[::-1]
    worst = [one for one in ranked if self.heard[one] < math.inf][: len(ranked) // 3]
    return {one: self.intervals if one in worst else 0 for one in self.order}


def first_come(self, who, rung, curve):
    if rung == self.intervals or not math.isfinite(curve[-1]):
        return {}
    self.heard[who] = 0
    return {who: self.intervals if len(self.heard) < 5 else 0}


def blind(self, who):
    return dict.fromkeys(self.order, self.intervals)


class Hidden:
    def __init__(self):
        self.eta = 3

    def judge(self, configurations, intervals, evaluate_every):
        return HalfJudge(configurations, intervals)


class Counting(Half):
    """Its second judge is another than its first."""

    def judge(self, configurations, intervals, evaluate_every):
        self.__dict__["judges"] = self.__dict__.get("judges", 0) + 1
        made = HalfJudge(configurations, intervals)
        made.first = [made.middle + self.judges % 2] * configurations
        return made


class Alone(Half):
    each_trial = True


def lengths(number):
    def judge(self, configurations, intervals, evaluate_every):
        made = HalfJudge(configurations, intervals)
        made.first = number(configurations)
        return made

    return type("Mine", (Half,), {"judge": judge})()


def orders(self, configurations, intervals, evaluate_every):
    made = HalfJudge(configurations, intervals)
    made.order = [0] * configurations
    return made


SCHEDULERS = {
    "a class": (joc.ASHA, r"ASHA is a class: give one of it, as ASHA\(\)"),
    "no judge": (object(), "object has no method judge"),
    "hidden settings": (Hidden(), "keeps eta where the manifest does not see it"),
    "settings that come back otherwise": (Half((1, 2)), r"settings is \(1, 2\) and comes back"),
    "settings that JSON has not": (Half({1, 2}), "settings in JSON fails with TypeError"),
    "a shared memory": (Counting(), "decides otherwise when it is asked again"),
    "too few": (lengths(lambda n: [1]), "judge.first must say for each of 27"),
    "too far": (lengths(lambda n: [99] * n), "judge.first must say"),
    "an order with gaps": (
        type("Mine", (Half,), {"judge": orders})(),
        "judge.order must have each of 27 configurations once",
    ),
    "no mapping": (of(hear=lambda self, *_: [1]), "hear must return a mapping"),
    "who does not wait": (of(decide=lambda self, who: {99: 1}), "configuration 99, which does not"),
    "backwards in time": (
        of(decide=lambda self, who: {who: 1}),
        "to interval 1, and it has 13 of 27 behind it",
    ),
    "first come": (of(hear=first_come), "decides by who arrives first"),
    "the worst": (of(decide=backwards), "keeps the worse ones"),
    "nobody": (of(decide=lambda self, who: {}), "lets nobody train to the end"),
    "the diverged": (of(decide=blind), "train on, whose curve is infinite"),
    "not alone": (Alone(), "has each_trial, and configuration"),
    "an error": (of(hear=lambda self, *_: 1 / 0), "hear fails with ZeroDivisionError"),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_broken_scheduler_is_named(name):
    scheduler, message = SCHEDULERS[name]
    with broken(match=message):
        check_scheduler(scheduler)


def test_a_scheduler_of_one_s_own_passes():
    check_scheduler(Half())
    halves = lambda self, n, intervals, _: Halvings(2.0, [(list(range(n)), [9, intervals])])
    check_scheduler(type("Two", (Half,), {"judge": halves})())
