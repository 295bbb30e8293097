"""Each framework's trajectories, step by step, from the files that the frameworks made."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.cells import CELLS, LOOPS, SLOWING, START, STEPS, STREAM, gradient, split
from helpers import counted, their
from long_form import every, once
from tables import matches, render
from transcriptions import soap_step

from jaxopt_course.base import apply_updates
from jaxopt_course.conventions import CONVENTIONS, convention
from jaxopt_course.optimizers import OPTIMIZERS
from jaxopt_course.schedules import inverse_time_decay

GOLDEN = Path(__file__).parent / "golden"
PATHS = np.load(GOLDEN / "trajectories.npz", allow_pickle=False)
ABOUT = json.loads((GOLDEN / "trajectories.json").read_text())


def follow(txs, dtype):
    """Parameters after each step: (transformations, open and closed loop, 30, 6).

    One step of them all is one program, whose kinds do not change from step to step.
    """

    def step(carries, g, closed):
        after = []
        for tx, (params, state) in zip(txs, carries, strict=True):
            w = jnp.concatenate([params["w"].ravel(), params["b"]])
            u, state = tx.update(split(jnp.where(closed, gradient(w), g)), state, params)
            after.append((apply_updates(params, u), state))
        return after

    step, kinds = counted(step)

    def train(loop):
        params, path = split(jnp.asarray(START[loop], dtype)), []
        carries = [(params, tx.init(params)) for tx in txs]
        for g in STREAM.astype(dtype):
            carries = step(carries, g, np.bool_(loop == "closed"))
            path.append([params for params, _ in carries])
        return path

    paths = [train(loop) for loop in LOOPS]
    assert len(kinds) == 1
    flat = lambda params: np.concatenate([np.ravel(params["w"]), params["b"]])
    paths = np.array([[[flat(p) for p in now] for now in path] for path in paths])
    assert paths.dtype == dtype
    return np.moveaxis(paths, 2, 0)


def ours(cell, dtype):
    """As the golden files: (rates, loops, steps, coordinates)."""
    recipe = convention(cell.recipe, cell.like)
    with jax.enable_x64(dtype == "float64"):
        runs = _with_both_rates(cell.ours, ABOUT["rates"][cell.name])
        return follow([recipe(**arguments) for arguments in runs], dtype)


def theirs(cell, dtype):
    return PATHS[dtype][CELLS.index(cell)]


def error(a, b):
    """The largest difference in each step, relative to the largest size of the coordinate."""
    assert np.isfinite(a).all() and np.isfinite(b).all()
    size = np.abs(b).max(axis=-2, keepdims=True)
    return (np.abs(a.astype(np.float64) - b) / np.where(size == 0, 1, size)).max(axis=-1)


# torch's Muon rounds to bfloat16 inside, in an order of sums that its builds do not share
ROUNDED = [cell for cell in CELLS if cell.variant == "rounded"]
EXACT = [cell for cell in CELLS if cell not in ROUNDED]
# Newton and Schulz multiply what is small, rounding too, by up to 3.4^5 before they normalize it
FLOAT32 = {"muon": 1e-5, "adafactor": 1e-5}


@pytest.mark.parametrize("cell", once(EXACT, lambda c: c.recipe), ids=lambda c: c.name)
def test_the_trajectory_is_the_frameworks_to_1e_12(cell):
    assert error(ours(cell, "float64"), theirs(cell, "float64")).max() <= 1e-12


@pytest.mark.parametrize("cell", every(8, EXACT), ids=lambda c: c.name)
def test_in_float32_it_is_so_to_1e_6_a_step(cell):
    """Rounding piles up from step to step, the frameworks' as ours."""
    reference = theirs(cell, "float32" if is_precise(cell) else "float64")
    t = np.arange(1, STEPS + 1)
    assert (error(ours(cell, "float32"), reference) <= FLOAT32.get(cell.recipe, 1e-6) * t).all()


@pytest.mark.parametrize("cell", ROUNDED, ids=lambda c: c.name)
def test_rounding_inside_the_frameworks_is_reproduced_or_bounded(cell):
    """In units of the rate; Keras rounds a norm to float32, which is not reproduced."""
    rates = ABOUT["rates"][cell.name] / (1 + np.outer([0, SLOWING], np.arange(1, STEPS)))

    def off(**changed):
        mine = np.diff(ours(cell._replace(**changed), "float64"), axis=-2)
        return (
            np.abs(mine - np.diff(theirs(cell, "float64"), axis=-2)).max(axis=-1) / rates[:, None]
        )

    if cell.like == "keras":
        assert off().max() <= 1e-6
        return
    assert np.median(off()) <= 1e-9 and off().max() <= 2**-5
    assert np.median(off(ours={"ns_dtype": None})) > 2**-9  # the rounding is seen


# --- optax and the papers: transcribed, for there is no framework to run ---

OPTAX = {
    "sgd": {"learning_rate": 0.02, "momentum": 0.8, "nesterov": True},
    "momentum": {"learning_rate": 0.02},
    "ema_momentum": {"learning_rate": 0.1},
    "nesterov": {"learning_rate": 0.02},
    "adagrad": {"learning_rate": 0.05},
    "rmsprop": {"learning_rate": 0.02, "centered": True, "momentum": 0.8, "eps": 1e-3},
    "adadelta": {"learning_rate": 1.0, "weight_decay": 0.1},
    "adam": {"learning_rate": 0.02},
    "adamw": {"learning_rate": 0.02, "weight_decay": 0.1},
    "adamax": {"learning_rate": 0.02},
    "amsgrad": {"learning_rate": 0.02},
    "nadam": {"learning_rate": 0.02},
    "radam": {"learning_rate": 0.02},
    "lion": {"learning_rate": 0.003, "weight_decay": 0.1},
    "ademamix": {"learning_rate": 0.02, "weight_decay": 0.1, "alpha": 5.0},
    "muon": {"learning_rate": 0.02, "weight_decay": 0.1},
    "nadamw": {"learning_rate": 0.02, "weight_decay": 0.1},
    "signum": {"learning_rate": 0.003},
    "adabelief": {"learning_rate": 0.02, "eps": 1e-3},
    "adan": {"learning_rate": 0.02, "weight_decay": 0.1},
    "adopt": {"learning_rate": 0.02},
    "lamb": {"learning_rate": 0.02, "weight_decay": 0.1},
    "lars": {"learning_rate": 0.2, "weight_decay": 0.1, "trust_coefficient": 0.1},
    "adafactor": {"learning_rate": 0.02, "min_dim_size_to_factor": 2},
    "prodigy": {"learning_rate": 1.0, "estim_lr0": 1e-2, "weight_decay": 0.1},
    "schedule_free_adamw": {"learning_rate": 0.02, "weight_decay": 0.1, "warmup_steps": 5},
    "schedule_free_sgd": {"learning_rate": 0.02, "weight_decay": 0.1},
}
PAPER = {
    "sgd": {"learning_rate": 0.02},
    "momentum": {"learning_rate": 0.02},
    "nesterov": {"learning_rate": 0.02},
    "adagrad": {"learning_rate": 0.05, "eps": 1e-3},
    "rmsprop": {},
    "adadelta": {},
    "adam": {},
    "adamw": {"learning_rate": 0.01, "weight_decay": 0.1},
    "adamax": {},
    "amsgrad": {"learning_rate": 0.002},
    "nadam": {},
    "radam": {"learning_rate": 0.01},
    "lion": {"learning_rate": 0.003, "weight_decay": 0.1},
    "ademamix": {
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "alpha": 5.0,
        "b3_warmup": 20,
        "alpha_warmup": 20,
    },
    "muon": {"learning_rate": 0.02, "weight_decay": 0.1},
    "signum": {"learning_rate": 0.003},
    "adabelief": {"eps": 1e-3},
    "adopt": {"learning_rate": 0.02},
    "lamb": {"learning_rate": 0.02, "weight_decay": 0.1},
    "adafactor": {"learning_rate": 0.05},
    "prodigy": {"learning_rate": 1.0, "estim_lr0": 1e-2, "weight_decay": 0.1},
    "soap": {"learning_rate": 0.02, "precondition_frequency": 3, "eps": 1e-3},
    "schedule_free_adamw": {
        "learning_rate": 0.02,
        "weight_decay": 0.1,
        "warmup_steps": 5,
        "r": 1.0,
    },
    "schedule_free_sgd": {"learning_rate": 0.02, "weight_decay": 0.1, "warmup_steps": 5},
}
PAPER_RATES = {"rmsprop": 0.001, "adadelta": 1.0, "adam": 0.001, "adamax": 0.002, "nadam": 0.002}
PAPER_RATES |= {"adabelief": 0.001}


@pytest.mark.parametrize("recipe", every(6, OPTAX))
def test_optax_itself_takes_the_same_steps(recipe):
    """In float64; its own centered RMSProp is not clamped, which shows nowhere here."""
    with jax.enable_x64(True):
        runs = _with_both_rates(OPTAX[recipe], OPTAX[recipe]["learning_rate"])
        mine = follow([convention(recipe, "optax")(**a) for a in runs], "float64")
        optax_s = follow([their(recipe, a) for a in runs], "float64")
    assert error(mine, optax_s).max() <= 1e-12


def _with_both_rates(arguments, eta):
    return arguments, {**arguments, "learning_rate": inverse_time_decay(eta, SLOWING)}


def _ratio(a, b):
    """a / b, and 0 for 0 / 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _paper(recipe, t, g, w, s, rate, weight_decay=0.0, eps=0.0, **other):
    """One step of a paper's algorithm; s is its memory.  Written from the papers, not from us."""
    b1, b2, rho = 0.9, 0.999, 0.95
    if recipe == "sgd":
        return w - rate * g
    if recipe == "momentum":  # Polyak: w_{t+1} = w_t - η g + β (w_t - w_{t-1})
        old = s.get("w", w)
        s["w"] = w
        return w - rate * g + 0.9 * (w - old)
    if recipe == "nesterov":  # Sutskever: w is φ + μ v
        v = s.get("v", 0 * w)
        phi = w - 0.9 * v
        s["v"] = 0.9 * v - rate * g
        return phi + s["v"] + 0.9 * s["v"]
    if recipe == "adagrad":
        s["S"] = s.get("S", 0) + g**2
        return w - rate * _ratio(g, eps + np.sqrt(s["S"]))
    if recipe == "rmsprop":
        s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
        return w - rate * _ratio(g, np.sqrt(s["v"]))
    if recipe == "adadelta":
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        u = np.sqrt(s.get("x", 0 * w) + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
        s["x"] = rho * s.get("x", 0) + (1 - rho) * u**2
        return w - rate * u
    if recipe == "lion":
        m = s.get("m", 0 * w)
        s["m"] = 0.99 * m + 0.01 * g
        return w - rate * (np.sign(0.9 * m + 0.1 * g) + weight_decay * w)
    if recipe == "adafactor":
        rho, both = min(rate, t**-0.5), []
        for w_i, g_i in ((w[:4].reshape(2, 2), g[:4].reshape(2, 2)), (w[4:], g[4:])):
            b, x = 1 - t**-0.8, g_i**2 + 1e-30
            name = g_i.ndim
            if name == 2:
                r = s["r"] = b * s.get("r", 0) + (1 - b) * x.sum(axis=1, keepdims=True)
                c = s["c"] = b * s.get("c", 0) + (1 - b) * x.sum(axis=0, keepdims=True)
                v = r @ c / r.sum()
            else:
                v = s["v"] = b * s.get("v", 0) + (1 - b) * x
            u = g_i / np.sqrt(v)
            u = u / max(1, np.sqrt(np.mean(u**2)))
            both.append((w_i - rho * max(1e-3, np.sqrt(np.mean(w_i**2))) * u).ravel())
        return np.concatenate(both)
    if recipe == "signum":
        s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        return w - rate * np.sign(s["m"])
    if recipe == "adopt":
        if t == 1:
            s["v"], s["m"] = g**2, 0 * g
            return w
        x = np.clip(g / np.maximum(np.sqrt(s["v"]), 1e-6), -((t - 1) ** 0.25), (t - 1) ** 0.25)
        s["m"] = 0.9 * s["m"] + 0.1 * x
        s["v"] = 0.9999 * s["v"] + (1 - 0.9999) * g**2
        return w - rate * s["m"]
    if recipe == "muon":  # w[:4] is a matrix of 2 x 2, Adam trains the others at a constant rate
        m = s["m"] = 0.95 * s.get("m", 0) + g
        x = (g + 0.95 * m)[:4].reshape(2, 2)
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
        h = s["h"] = 0.9 * s.get("h", 0) + 0.1 * g[4:]
        v = s["v"] = 0.95 * s.get("v", 0) + 0.05 * g[4:] ** 2
        adam = h / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.95**t)) + 1e-10)
        matrix = w[:4] - rate * (x.ravel() + weight_decay * w[:4])
        return np.concatenate([matrix, w[4:] - 3e-4 * adam])
    if recipe == "prodigy":
        b3, d0, d = np.sqrt(b2), other["estim_lr0"], s.get("d", other["estim_lr0"])
        start = s.setdefault("start", w)
        m = s["m"] = b1 * s.get("m", 0) + (1 - b1) * d * g
        v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * (d * g) ** 2
        s["r"] = b3 * s.get("r", 0) + (d / d0) * d * rate * np.dot(g, start - w)
        s["s"] = b3 * s.get("s", 0) + (d / d0) * d * rate * g
        s["d"] = max(d, s["r"] / np.abs(s["s"]).sum())
        return w - d * rate * (m / (np.sqrt(v) + s["d"] * 1e-8) + weight_decay * w)
    if recipe == "soap":  # w[:4] is a matrix of 2 x 2
        none = [np.zeros((2, 2)), np.zeros((2, 2))]
        u = []
        for name, x, nothing in (("w", g[:4].reshape(2, 2), none), ("b", g[4:], [])):
            old = s.get(name) or (0 * x, 0 * x, tuple(nothing), tuple(nothing))
            step, *memory = soap_step(
                np, np.int64(t - 1), x, *old, eps=eps, f=other["precondition_frequency"]
            )
            s[name] = tuple(memory)
            u.append(step.ravel())
        return w - rate * np.concatenate(u)
    if recipe.startswith("schedule_free"):
        rate = rate * min(t / other["warmup_steps"], 1)
        if recipe.endswith("adamw"):
            v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
            g = g / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        z, x = s.get("z", w), s.get("x", w)  # and y is w
        z = s["z"] = z - rate * (g + weight_decay * w)
        s["most"] = max(rate, s.get("most", 0))
        weight = t ** other.get("r", 0) * s["most"] ** 2
        s["W"] = s.get("W", 0) + weight
        x = s["x"] = x + weight / s["W"] * (z - x)
        return b1 * x + (1 - b1) * z
    m = s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    if recipe == "adamax":
        s["u"] = np.maximum(b2 * s.get("u", 0 * w), np.abs(g))
        return w - rate / (1 - b1**t) * _ratio(m, s["u"])
    v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
    if recipe == "adabelief":
        s["s"] = b2 * s.get("s", 0) + (1 - b2) * (g - m) ** 2 + eps
        return w - rate * m_hat / (np.sqrt(s["s"] / (1 - b2**t)) + eps)
    if recipe == "lamb":
        r = m_hat / (np.sqrt(v_hat) + 1e-6) + weight_decay * w
        norm = lambda x: np.repeat([np.linalg.norm(x[:4]), np.linalg.norm(x[4:])], [4, 2])
        return w - rate * norm(w) / norm(r) * r
    if recipe == "adam":
        return w - rate * m_hat / (np.sqrt(v_hat) + 1e-8)
    if recipe == "adamw":  # the multiplier is 1, α the rate
        return w - (rate * m_hat / (np.sqrt(v_hat) + 1e-8) + weight_decay * w)
    if recipe == "ademamix":
        share, last = min(t / other["b3_warmup"], 1), np.log(0.9999)
        b3 = np.exp(np.log(b1) * last / ((1 - share) * last + share * np.log(b1)))
        n = s["n"] = b3 * s.get("n", 0) + (1 - b3) * g
        weight = other["alpha"] * min(t / other["alpha_warmup"], 1)
        u = (m_hat + weight * n) / (np.sqrt(v_hat) + 1e-8)
        return w - rate * (u + weight_decay * w)
    if recipe == "amsgrad":
        s["w"] = np.maximum(s.get("w", 0 * w), v)
        return w - rate * _ratio(m, np.sqrt(s["w"]))
    if recipe == "nadam":
        now, then = (b1 * (1 - 0.5 * 0.96 ** (i / 250)) for i in (t, t + 1))
        product = s["P"] = s.get("P", 1.0) * now
        m_hat = then * m / (1 - product * then) + (1 - now) * g / (1 - product)
        return w - rate * m_hat / (np.sqrt(v_hat) + 1e-8)
    assert recipe == "radam"
    far = 2 / (1 - b2) - 1
    length = far - 2 * t * b2**t / (1 - b2**t)
    if length <= 4:
        return w - rate * m_hat
    r = np.sqrt((length - 4) * (length - 2) * far / ((far - 4) * (far - 2) * length))
    return w - rate * r * _ratio(m_hat, np.sqrt(v_hat))


def _papers_path(recipe, arguments, eta, slowing, loop):
    w, memory, path = START[loop], {}, []
    others = {k: x for k, x in arguments.items() if k != "learning_rate"}
    for s in range(STEPS):
        g = gradient(w) if loop == "closed" else STREAM[s]
        w = _paper(recipe, s + 1, g, w, memory, eta / (1 + slowing * s), **others)
        path.append(w)
    return np.array(path)


@pytest.mark.parametrize("recipe", every(2, PAPER))
def test_the_papers_formulas_take_the_same_steps(recipe):
    eta = PAPER[recipe].get("learning_rate") or PAPER_RATES[recipe]
    with jax.enable_x64(True):
        runs = _with_both_rates(PAPER[recipe], eta)
        paths = follow([convention(recipe, "paper")(**a) for a in runs], "float64")
    for slowing, path in zip((0.0, SLOWING), paths, strict=True):
        for mine, loop in zip(path, LOOPS, strict=True):
            paper = _papers_path(recipe, PAPER[recipe], eta, slowing, loop)
            assert error(mine, paper).max() <= 1e-12, (slowing, loop)


def parity_table():
    """Recipe x framework: how many settings the tests of this module hold to 1e-12."""
    settings = {
        "optax 0.2.8": dict.fromkeys(OPTAX, 1),
        f"Keras {ABOUT['keras']}": _count("keras"),
        f"PyTorch {ABOUT['torch'].split('+')[0]}": _count("torch"),
        "paper": dict.fromkeys(PAPER, 1),
    }
    rows = [
        (f"`{recipe}`", *(f"✓ {n[recipe]}" if recipe in n else "—" for n in settings.values()))
        for recipe in OPTIMIZERS
    ]
    legend = (
        "✓ n: our trajectory is the framework's for n sets of arguments (its defaults and others), "
        "each with a constant and a\nscheduled rate η₀/(1+s/2), with given gradients on scales "
        "1 … 1e-8 and 0, and in closed loop on a quartic: 30 steps, every\ncoordinate within 1e-12 "
        "of its size in float64, and within 1e-6 per step in float32 (of the framework's own "
        "float32 path\nwhere that is as near to its float64 one, else of the latter: "
        f"{', '.join(imprecise())}).\nMuon "
        "and Adafactor are compared without the frameworks' own rounding inside them, within 1e-5 "
        "per step in float32: torch's\nrounding to bfloat16 is reproduced (the same bits but "
        "for the order of sums), Keras's norms and means in float32 move a\nfloat64 step by 1e-7.\n"
        "— : the framework has no such optimizer.  Keras and PyTorch ran themselves "
        "(`tests/golden/make.py`); optax runs in the\ntest; the papers' formulas "
        "are transcribed in NumPy.\n"
    )
    return render(["recipe", *settings], rows) + "\n\n" + legend


def _count(like):
    cells = [cell.recipe for cell in EXACT if cell.like == like]
    return {recipe: cells.count(recipe) for recipe in cells}


def is_precise(cell):
    """Whether the framework's float32 path is within 1e-6 per step of its float64 one.

    torch's Adafactor is: its ε is that of the dtype, so its paths are two.
    """
    if (cell.like, cell.recipe) == ("torch", "adafactor"):
        return True
    off = error(theirs(cell, "float32"), theirs(cell, "float64"))
    return bool((off <= 1e-6 * np.arange(1, STEPS + 1)).all())


def imprecise():
    """Recipes whose framework is not that precise in float32."""
    return sorted({f"{c.like}'s {c.recipe}" for c in EXACT if not is_precise(c)})


def test_every_recipe_of_a_convention_is_in_the_table():
    tested = {
        "optax": set(OPTAX) | {"soap"},  # which optax has not: tests/test_soap.py
        "keras": set(_count("keras")),
        "torch": set(_count("torch")),
        "paper": set(PAPER),
    }
    assert tested == {like: set(recipes) for like, recipes in CONVENTIONS.items()}


def test_the_published_parity_table_is_this_one():
    assert matches("parity.md", parity_table())


def test_adafactor_moves_a_parameter_of_0_by_its_least_scale():
    """Shazeer and Stern (2018), algorithm 4: α = max(ε2, RMS(θ)) ρ with ε2 = 1e-3; û is 1 first."""
    tx = convention("adafactor", "paper")(0.5)
    u, _ = tx.update(4.0, tx.init(0.0), 0.0)
    np.testing.assert_allclose(u, -0.5 * 1e-3, rtol=1e-6)
