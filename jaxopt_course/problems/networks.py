"""Networks, and the view of a Flax module as pure functions of plain trees.

Importing this file imports Flax, so the rest of the package imports it where a network is needed.
"""

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen, nnx

from jaxopt_course.problems import asking
from jaxopt_course.problems.asking import Asks
from jaxopt_course.problems.checks import strong
from jaxopt_course.problems.regularization import drop
from jaxopt_course.tree import Tree


class MLP(nnx.Module):
    """Fully connected layers with ReLU between them and none after the last.

    h_0 = x,   h_l = relu(h_{l-1} W_l + b_l),   outputs = h_{L-1} W_L + b_L

    ``MLP(64, 64, 64, 10, rngs=rngs)`` has two hidden layers of 64 units; ``MLP(1, 1, rngs=rngs)``
    is one linear unit.  Outputs are logits where the loss wants logits: the sigmoid or softmax
    belongs to the loss, where it can be computed without overflow.

    Args:
        sizes: width of the input, of every hidden layer and of the output; two or more.
        rngs: Flax's random streams; ``params`` draws the weights.

    Weights start as Flax's default, LeCun normal (truncated normal, variance 1 / fan-in; LeCun et
    al. 1998, §4.6), biases at zero; all float32.

    In training, hidden units are dropped at the rate of the table's column "dropout", where there
    is one; see :mod:`~jaxopt_course.problems.regularization`.

    Raises:
        ValueError: fewer than two sizes, or one below 1.
    """

    columns = frozenset({"dropout"})

    def __init__(self, *sizes: int, rngs: nnx.Rngs):
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"MLP needs two or more sizes, each at least 1, and got {sizes}")
        pairs = itertools.pairwise(sizes)
        self.layers = nnx.List([nnx.Linear(n, m, rngs=rngs) for n, m in pairs])

    def __call__(
        self, x: jax.Array, h: Mapping[str, Any] | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Map a batch ``(B, sizes[0])`` to outputs ``(B, sizes[-1])``; with a key it trains."""
        *hidden, last = self.layers
        for i, layer in enumerate(hidden):
            x = drop(jax.nn.relu(layer(x)), h, key, i)
        return last(x)


class Functional(NamedTuple):
    """A network as pure functions; ``params`` and ``model_state`` are nested dicts of arrays.

        init(key) -> (params, model_state)
        train(params, model_state, x, key) -> (outputs, model_state)
        apply(params, model_state, x) -> outputs

    Each also takes by name what the module's call asks for, ``h`` or ``shared``; see ``asking``.

    Plain dicts and not ``nnx.State``: they hold no Flax object, so a treedef says structure only
    and is equal from call to call, every optax wrapper and checkpoint format takes them, and
    ``params["layers"][0]["kernel"]`` is what a reader expects.
    """

    init: Callable[..., tuple[Tree, Tree]]
    train: Callable[..., tuple[Tree, Tree]]
    apply: Callable[..., Tree]
    asks: Asks = Asks()  # what the call takes beside x


def functional(module: Any, example: Tree, shared: Tree = ()) -> Functional:
    """View a Flax module as pure functions.

    Args:
        module: a ``flax.linen.Module`` instance, or what makes a ``flax.nnx.Module`` when called
            with the keyword ``rngs``: a lambda, a class, a ``functools.partial``.
        example: inputs with one example, which Linen needs to initialise.
        shared: what all lanes read; Linen needs its shapes.

    Raises:
        TypeError: ``module`` is neither.
    """
    if isinstance(module, linen.Module):
        return _from_linen(module, example, shared)
    if _is_equinox(module):
        raise TypeError(
            "an equinox module is a tree of its own weights: give joc.Task(init=, loss=, "
            "evaluate=, ...) with params, static = eqx.partition(module, eqx.is_array) in init and "
            "eqx.combine(params, static) in loss and evaluate"
        )
    if isinstance(module, nnx.Module):
        raise TypeError(
            f"module is an NNX module that already has weights, and each trial draws its own: "
            f"pass its constructor, lambda rngs: {type(module).__name__}(..., rngs=rngs)"
        )
    if callable(module) and not (isinstance(module, type) and issubclass(module, linen.Module)):
        return _from_nnx(lambda rngs: _with_arrays_as_data(module(rngs=rngs)))
    raise TypeError(
        f"module must be a flax.linen module instance or a function of rngs that makes a "
        f"flax.nnx module, not {module!r}"
    )


def _from_nnx(make: Callable[[nnx.Rngs], Any]) -> Functional:
    graphs: dict[bool, Any] = {}
    keywords: dict[bool, dict[str, bool]] = {}
    asks = Asks()

    def look() -> Tree:
        nonlocal asks
        model = make(nnx.Rngs(0))
        if not isinstance(model, nnx.Module):
            other = " but an equinox one: use joc.Task" if _is_equinox(model) else ""
            raise TypeError(
                f"module was called with rngs and did not make a flax.nnx module{other}"
            )
        # The two graphs differ only in the flags that train() and eval() set on the layers.
        for train, switch in ((True, model.train), (False, model.eval)):
            switch()
            graphs[train] = nnx.graphdef(model)
            keywords[train] = _mode(type(model), train)
        asks = asking.asks_of(model, 1)
        return _parts(model)[1]

    streams = jax.eval_shape(look)  # in a trace nothing is computed, and no device wakes

    def init(key: jax.Array, **offered: Any) -> tuple[Tree, Tree]:
        params, _, rest = _parts(make(nnx.Rngs(key)))
        return strong(params), strong(rest)

    def train(
        params: Tree, state: Tree, x: Tree, key: jax.Array, **offered: Any
    ) -> tuple[Tree, Tree]:
        model = nnx.merge(graphs[True], params, _seeded(streams, key), state)
        beside = _asked(asks, offered)
        if beside.get("h") is not None and asks.columns is not None:
            beside["key"] = key  # our own networks have no streams, which all programs would carry
        outputs = model(x, **keywords[True], **beside)
        return outputs, _parts(model)[2]

    def apply(params: Tree, state: Tree, x: Tree, **offered: Any) -> Tree:
        # In eval mode nothing draws; the graph still wants its streams, and any key will do.
        idle = _seeded(streams, jax.random.key(0))
        model = nnx.merge(graphs[False], params, idle, state)
        return model(x, **keywords[False], **_asked(asks, offered))

    return Functional(init, train, apply, asks)


def _asked(asks: Asks, offered: Mapping[str, Any]) -> dict[str, Any]:
    """What the module's call asks for, its readings noted as the module's."""
    return {n: x for n, x in asking.read_by("the module", offered).items() if n in asks.names}


def _with_arrays_as_data(model: Any) -> Any:
    """``model`` with its plain array attributes marked as data, so that they enter the state.

    Flax marks an array by itself, but not always a traced one: on Python before 3.14 it takes a
    tracer for a static attribute, and the graph would keep it after the trace is over.
    """
    for _, node in list(nnx.iter_graph(model)):
        if isinstance(node, nnx.Pytree):
            for name, value in list(vars(node).items()):
                leaves = jax.tree.leaves(value, is_leaf=nnx.is_data)
                if any(isinstance(leaf, jax.Array) for leaf in leaves):
                    setattr(node, name, nnx.data(value))
    return model


def _parts(model: nnx.Module) -> tuple[Tree, Tree, Tree]:
    """Parameters, random streams and the rest (BatchNorm's averages, plain arrays) as nested dicts.

    What a forward pass has sown is left out: it is there after the pass and not before, and a
    state that grows cannot go round a scan.
    """
    states: tuple[Any, ...] = nnx.state(model, nnx.Param, nnx.RngState, nnx.Intermediate, ...)
    params, streams, _, rest = map(nnx.to_pure_dict, states)
    return params, streams, rest


def _seeded(streams: Tree, key: jax.Array) -> Tree:
    """Every random stream restarted from the step's key, each from a key of its own.

    Streams of one name must not share a key: two dropout layers would then use the same mask.
    Starting anew at each step keeps keys and counts out of the model's state.
    """
    leaves, treedef = jax.tree.flatten(streams)

    def fresh(i: int, leaf: Any) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros(leaf.shape, leaf.dtype)  # the count of draws
        own = jax.random.fold_in(key, i)
        return jax.random.split(own, leaf.shape) if leaf.shape else own

    return jax.tree.unflatten(treedef, [fresh(i, leaf) for i, leaf in enumerate(leaves)])


def _is_equinox(module: Any) -> bool:
    kind = module if isinstance(module, type) else type(module)
    return any(base.__module__.startswith("equinox") for base in kind.__mro__)


def _from_linen(module: Any, example: Tree, shared: Tree) -> Functional:
    keywords = {train: _mode(type(module), train) for train in (True, False)}
    asks = asking.asks_of(type(module).__call__, 2)

    def init(key: jax.Array, **offered: Any) -> tuple[Tree, Tree]:
        params_key, other = jax.random.split(key)
        rngs = {"params": params_key, "dropout": other}
        if "shared" in asks.names:  # the arrays themselves would be text in the program
            offered["shared"] = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shared)
        beside = keywords[False] | _asked(asks, offered)
        state = dict(module.init(rngs, jax.tree.map(jnp.asarray, example), **beside))
        params = state.pop("params", {})
        return strong(params), strong({k: v for k, v in state.items() if k != "intermediates"})

    def train(
        params: Tree, state: Tree, x: Tree, key: jax.Array, **offered: Any
    ) -> tuple[Tree, Tree]:
        # A stream that is not named here falls back, by Flax's rule, to "params".
        rngs = {"params": key, "dropout": jax.random.fold_in(key, 1)}
        beside = keywords[True] | _asked(asks, offered)
        outputs, changed = module.apply(
            {"params": params, **state}, x, rngs=rngs, mutable=list(state), **beside
        )
        return outputs, {**state, **changed}

    def apply(params: Tree, state: Tree, x: Tree, **offered: Any) -> Tree:
        beside = keywords[False] | _asked(asks, offered)
        return module.apply({"params": params, **state}, x, **beside)

    return Functional(asking.declare(init, asks), train, apply, asks)


TRAINING = ("train", "training", "is_training")
NOT_TRAINING = ("deterministic", "use_running_average")


def _mode(module_type: type, train: bool) -> dict[str, bool]:
    """The keywords by which this module's ``__call__`` is told that it trains, if it takes any."""
    taken = inspect.signature(module_type.__call__).parameters
    return {name: train for name in TRAINING if name in taken} | {
        name: not train for name in NOT_TRAINING if name in taken
    }
