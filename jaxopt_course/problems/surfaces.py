"""Classical surfaces over the plane: what optimizers are raced on, because it can be drawn.

    Rosenbrock   f = (1 - x)² + 100 (y - x²)²                       a bent valley
    Beale        f = (1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)²   flats and walls
    Himmelblau   f = (x² + y - 11)² + (x + y² - 7)²                 four minima of the same value
    Rastrigin    f = 20 + x² - 10 cos 2πx + y² - 10 cos 2πy         a local minimum at each integer
    saddle       f = x²/2 + y⁴/4 - y²/2                             a saddle at 0 between two minima
    bowl         f = (u² + κ v²) / 2, (u, v) = (x, y) turned        condition κ, the long bowl

A surface knows its minima, a start that makes the race worth seeing, what to draw and who made it.
As a task its parameters are the point itself: the "network" is one ball, and the curves
``valid_x`` and ``valid_y`` of a study are its path.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.problems.tasks import Task
from jaxopt_course.tree import Tree

Point = tuple[float, float]
FENCE = 1e3  # in each coordinate: beyond it a ball of :func:`together` is lost
NOTHING = {"balls": np.zeros(1, np.float32)}  # the data of a task without data: one example


@dataclass(frozen=True)
class Surface:
    """A function of the plane, and what one needs to know to race on it.

    Attributes:
        name: a word for tables.
        function: (2,) -> (), pure JAX, in any floating dtype.
        minima: the points where it is lowest.
        lowest: its value there.
        start: where a race begins.
        box: ((left, right), (bottom, top)), what to draw.
        source: where it was published.
    """

    name: str
    function: Callable[[jax.Array], jax.Array]
    minima: tuple[Point, ...]
    lowest: float
    start: Point
    box: tuple[Point, Point]
    source: str

    def __call__(self, point: jax.Array) -> jax.Array:
        """The height at a point (2,).

        >>> print(SURFACES["rosenbrock"](jnp.array([0.0, 1.0])))
        101.0
        """
        return self.function(point)

    def grid(self, points: int = 201) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The heights over the box, for contours: x (points,), y (points,), f (y, x)."""
        x, y = (np.linspace(*side, points, dtype=np.float32) for side in self.box)
        rows = jax.jit(jax.vmap(jax.vmap(self.function)))
        return x, y, np.asarray(rows(np.stack(np.meshgrid(x, y), axis=-1)))

    def distance(self, point: jax.Array) -> jax.Array:
        """How far a point (2,) is from the nearest minimum."""
        minima = jnp.array(self.minima, point.dtype)
        return jnp.min(jnp.linalg.norm(point[None] - minima, axis=-1))

    def begin(self, key: jax.Array, anywhere: bool) -> jax.Array:
        """The start (2,); or a point of the box, drawn evenly."""
        if not anywhere:
            return jnp.array(self.start, jnp.float32)
        low, high = np.array(self.box, np.float32).T
        return low + (high - low) * jax.random.uniform(key, (2,))

    def task(self, *, anywhere: bool = False) -> Task:
        """The surface as a task of one ball, for ``sweep`` and ``fit``.

        Metrics: ``loss``, the height; ``distance`` to the nearest minimum; ``x`` and ``y``.
        There is one example, so an epoch is a step: say ``evaluate_every`` where not every step is
        to be seen.

        Args:
            anywhere: start where the trial's seed says, evenly over the box; seeds are then starts.
        """

        def evaluate(params: Tree, model_state: Tree, data: Tree) -> dict[str, jax.Array]:
            x, y = params
            return {"loss": self(params), "distance": self.distance(params), "x": x, "y": y}

        return Task(
            name=self.name,
            init=lambda key: (self.begin(key, anywhere), {}),
            loss=lambda params, model_state, batch, key: (self(params), (model_state, {})),
            evaluate=evaluate,
            train=NOTHING,
            valid=NOTHING,
            test=NOTHING,
            metrics={"loss": "min", "distance": "min"},
            split_seed=None,
            description=self.source,
        )


def together(surfaces: Mapping[str, Surface], *, anywhere: bool = False) -> Task:
    """A task of one ball on each surface: as many races as surfaces, in one program.

    Its loss is the sum of the heights.  An optimizer that treats each coordinate by itself (all
    recipes do) moves each ball as if it were alone.  A ball that leaves the square of half-width
    ``FENCE`` is lost: it pulls no more, and the others go on.

    Metrics, for a surface called ``bowl``: ``bowl`` (the height; infinite for a lost ball),
    ``bowl_distance``, ``bowl_x`` and ``bowl_y``; and ``loss``, the sum over those not lost.

    Args:
        surfaces: by the name that metrics bear.
        anywhere: as in :meth:`Surface.task`; a trial's balls start at different points.
    """

    def height(surface: Surface, point: jax.Array) -> tuple[jax.Array, jax.Array]:
        inside = jnp.all(jnp.abs(point) < FENCE)  # False for NaN too
        return surface(jnp.where(inside, point, 0)), inside  # no infinities, nor their gradients

    def loss(balls: jax.Array) -> jax.Array:
        heights = [
            height(surface, ball) for surface, ball in zip(surfaces.values(), balls, strict=True)
        ]
        return jnp.sum(jnp.stack([jnp.where(inside, f, 0) for f, inside in heights]))

    def evaluate(balls: jax.Array, model_state: Tree, data: Tree) -> dict[str, jax.Array]:
        values = {"loss": loss(balls)}
        for (name, surface), ball in zip(surfaces.items(), balls, strict=True):
            f, inside = height(surface, ball)
            values[name] = jnp.where(inside, f, jnp.inf)
            values[f"{name}_distance"] = surface.distance(ball)
            values[f"{name}_x"], values[f"{name}_y"] = ball
        return values

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        keys = jax.random.split(key, len(surfaces))
        starts = zip(surfaces.values(), keys, strict=True)
        return jnp.stack([surface.begin(key, anywhere) for surface, key in starts]), {}

    return Task(
        name="race",
        init=init,
        loss=lambda balls, model_state, batch, key: (loss(balls), (model_state, {})),
        evaluate=evaluate,
        train=NOTHING,
        valid=NOTHING,
        test=NOTHING,
        metrics={"loss": "min"} | dict.fromkeys(surfaces, "min"),
        split_seed=None,
        description=f"a ball on each of {', '.join(surfaces)}",
    )


def _rosenbrock(point: jax.Array) -> jax.Array:
    x, y = point
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _beale(point: jax.Array) -> jax.Array:
    x, y = point
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _himmelblau(point: jax.Array) -> jax.Array:
    x, y = point
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _rastrigin(point: jax.Array) -> jax.Array:
    return jnp.sum(10 + point**2 - 10 * jnp.cos(2 * jnp.pi * point))


def _saddle(point: jax.Array) -> jax.Array:
    x, y = point
    return x**2 / 2 + y**4 / 4 - y**2 / 2


def bowl(condition: float = 100.0, degrees: float = 0.0) -> Surface:
    """f = (u² + κ v²) / 2, where (u, v) is (x, y) turned: a bowl √κ times as long as wide.

    Args:
        condition: κ > 0, the largest curvature over the smallest, which is 1.
        degrees: how far the long axis is turned from x, counter-clockwise.  Rules that scale each
            coordinate by itself undo κ where it is 0, and only there.

    >>> print(bowl(condition=10.0)(jnp.array([2.0, 1.0])))
    7.0
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def function(point: jax.Array) -> jax.Array:
        x, y = point
        u, v = c * x + s * y, c * y - s * x
        return (u**2 + condition * v**2) / 2

    name = "bowl" if degrees == 0 else "turned_bowl"
    # the same start in (u, v), so that turning is all that differs
    u, v = -1.5, 0.6
    start = (c * u - s * v, s * u + c * v)
    source = "the quadratic of every book, as Polyak (1964)"
    return Surface(name, function, ((0.0, 0.0),), 0.0, start, ((-2.0, 2.0), (-2.0, 2.0)), source)


#: Surfaces of two numbers to race on, by name: a ``Surface`` with its formula, minima and start.
SURFACES: dict[str, Surface] = {
    surface.name: surface
    for surface in (
        Surface(
            "rosenbrock",
            _rosenbrock,
            minima=((1.0, 1.0),),
            lowest=0.0,
            start=(-1.2, 1.0),
            box=((-2.0, 2.0), (-1.0, 3.0)),
            source="Rosenbrock (1960), Computer Journal 3(3), with its start",
        ),
        Surface(
            "beale",
            _beale,
            minima=((3.0, 0.5),),
            lowest=0.0,
            start=(1.0, 1.5),
            box=((-4.5, 4.5), (-4.5, 4.5)),
            source="Beale (1958), Princeton technical report 25",
        ),
        Surface(
            "himmelblau",
            _himmelblau,
            minima=(
                (3.0, 2.0),
                (-2.8051180869527449, 3.1313125182505730),
                (-3.7793102533777469, -3.2831859912861694),
                (3.5844283403304917, -1.8481265269644036),
            ),
            lowest=0.0,
            start=(-0.5, -1.5),
            box=((-6.0, 6.0), (-6.0, 6.0)),
            source="Himmelblau (1972), Applied Nonlinear Programming",
        ),
        Surface(
            "rastrigin",
            _rastrigin,
            minima=((0.0, 0.0),),
            lowest=0.0,
            start=(-2.2, 3.3),
            box=((-5.12, 5.12), (-5.12, 5.12)),
            source="Rastrigin (1974), Systems of Extremal Control",
        ),
        Surface(
            "saddle",
            _saddle,
            minima=((0.0, 1.0), (0.0, -1.0)),
            lowest=-0.25,
            start=(-1.5, 1e-3),
            box=((-2.0, 2.0), (-1.8, 1.8)),
            source="Nesterov (2004), Introductory Lectures on Convex Optimization, example 1.2.2",
        ),
        bowl(),
    )
}
