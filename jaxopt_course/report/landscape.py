"""Landscapes: contours with paths, maps of what converges, planes through a network's weights.

Everything is drawn from arrays, on axes that the caller made; who evaluates a loss is the caller
too.  A path is an array (n, 2), first the start; a network's weights are one long row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxopt_course.report.looks import Look, looks

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

HEIGHTS = "Greys"  # so that the paths have the colours
GOAL = "#22262b"
OUTCOMES = ("#f3f4f6", "#9fb6d9")  # of a map: does not converge, converges
EDGES = ("#9a4902", "#19724e")
PALE = 0.55  # the darkest contour, as a share of black


def contours(
    axes: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    heights: np.ndarray,
    *,
    lowest: float | None = None,
    minima: Sequence[tuple[float, float]] = (),
    levels: int = 16,
) -> None:
    """Fill ``axes`` with the contours of a surface, close together in the depths.

    Levels are even in log(1 + h / u), h the height above the lowest and u its 5% quantile over the
    grid, so that a valley shows beside walls a million times as high.

    Args:
        axes: of Matplotlib.
        x: (columns,).
        y: (rows,).
        heights: (rows, columns); what is not finite is left white.
        lowest: the surface's lowest height; default that of ``heights``.
        minima: points to mark with a star.
        levels: how many.

    Raises:
        ValueError: no height is finite.
    """
    from matplotlib.colors import ListedColormap

    heights = np.ma.masked_invalid(np.asarray(heights, np.float64))
    if not heights.count():
        raise ValueError("no height is finite: there is nothing to draw")
    above = heights - (heights.min() if lowest is None else lowest)
    unit = max(float(np.quantile(above.compressed(), 0.05)), float(above.max()) / 1e9, 1e-300)
    depth = np.ma.log(1 + np.maximum(above, 0) / unit)
    edges = np.linspace(0, max(float(depth.max()), 1e-12), levels)
    greys = _colormap(HEIGHTS)(np.linspace(0, PALE, levels - 1))
    axes.contourf(x, y, depth, edges, cmap=ListedColormap(greys))
    axes.contour(x, y, depth, edges, colors="#ffffff", linewidths=0.6)
    for point in minima:
        axes.plot(*point, marker="*", markersize=13, color=GOAL, markeredgecolor="white", zorder=6)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def _colormap(name: str) -> Any:
    from matplotlib import colormaps

    return colormaps[name]


def paths(
    axes: "Axes",
    routes: Mapping[str, np.ndarray],
    *,
    styles: Mapping[str, Look] | None = None,
    marks: int = 6,
) -> list[Any]:
    """Draw each route as a line from its start (a ring) to its end (a filled mark).

    The limits of ``axes`` stay; a route may leave them, and what is not finite is not drawn.

    Args:
        axes: of Matplotlib.
        routes: name -> (n, 2).
        styles: name -> look; default by the place in ``routes``.
        marks: about how many marks along a line.

    Returns:
        the lines, for a legend.
    """
    styles = styles or looks(routes)
    limits = axes.get_xlim(), axes.get_ylim()
    lines = []
    for place, (name, route) in enumerate(routes.items()):
        look, route = styles[name], _checked(name, route)
        every = max(1, len(route) // marks)
        (line,) = axes.plot(
            *route.T, color=look.colour, linewidth=1.6, marker=look.matplotlib_marker,
            markersize=4, markevery=(place % every, every), label=name, zorder=3,
        )  # fmt: skip
        axes.plot(*route[0], "o", markersize=8, markerfacecolor="white", color=GOAL, zorder=4)
        axes.plot(
            *route[-1], look.matplotlib_marker, markersize=8, color=look.colour,
            markeredgecolor="white", zorder=5,
        )  # fmt: skip
        lines.append(line)
    axes.set(xlim=limits[0], ylim=limits[1])
    return lines


def _checked(name: str, route: Any) -> np.ndarray:
    route = np.asarray(route, np.float64)
    if route.ndim != 2 or route.shape[1] != 2 or not len(route):
        raise ValueError(f"the path of {name!r} must have the shape (n, 2), not {route.shape}")
    return route


def race(
    axes: "Axes",
    routes: Mapping[str, np.ndarray],
    *,
    frames: int = 60,
    tail: float = 0.25,
    styles: Mapping[str, Look] | None = None,
    interval: int = 60,
) -> "FuncAnimation":
    """Animate the routes: a ball each, with a tail; save with ``PillowWriter`` as a GIF.

    Args:
        axes: with the contours drawn; its limits stay.
        routes: name -> (n, 2), all of the same n.
        frames: at most; the routes are thinned to them.
        tail: its length, as a share of the route.
        styles: as in :func:`paths`.
        interval: between frames, in milliseconds.

    Raises:
        ValueError: routes of different lengths, or of another shape.
    """
    from matplotlib.animation import FuncAnimation

    styles = styles or looks(routes)
    if not routes:
        raise ValueError("a race needs at least one path")
    moving = {name: _checked(name, route) for name, route in routes.items()}
    lengths = {len(route) for route in moving.values()}
    if len(lengths) != 1:
        raise ValueError(f"a race needs paths of one length, and these have {sorted(lengths)}")
    limits, length = (axes.get_xlim(), axes.get_ylim()), lengths.pop()
    shown = np.unique(np.linspace(0, length - 1, frames).round().astype(int))
    behind = max(1, round(tail * length))
    tails = {
        name: axes.plot([], [], color=styles[name].colour, linewidth=1.6, zorder=3)[0]
        for name in moving
    }
    balls = {
        name: axes.plot(
            [], [], styles[name].matplotlib_marker, markersize=8, color=styles[name].colour,
            markeredgecolor="white", label=name, zorder=5,
        )[0]
        for name in moving
    }  # fmt: skip
    axes.set(xlim=limits[0], ylim=limits[1])

    def draw(frame: int) -> list[Any]:
        now = shown[frame]
        for name, route in moving.items():
            tails[name].set_data(*route[max(0, now - behind) : now + 1].T)
            balls[name].set_data(*route[now : now + 1].T)
        return [*tails.values(), *balls.values()]

    return FuncAnimation(axes.figure, draw, len(shown), interval=interval)  # type: ignore[arg-type]


def stability_map(
    axes: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    converges: np.ndarray,
    *,
    boundaries: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> None:
    """Colour each cell of a grid by whether it converges, and draw theory's boundaries over it.

    Args:
        axes: of Matplotlib; set its scales to "log" before, where the grid is geometric.
        x: (columns,), the centres of the cells.
        y: (rows,).
        converges: (rows, columns), bools; or numbers, drawn as shades, NaN left white.
        boundaries: label -> (x, y) of a line.
    """
    from matplotlib.colors import ListedColormap

    values = np.asarray(converges)
    if values.shape != (len(y), len(x)):
        raise ValueError(f"a map of {len(y)} rows and {len(x)} columns, not {values.shape}")
    limits: dict[str, Any] = {}
    if values.dtype == bool:
        limits = {"cmap": ListedColormap(OUTCOMES), "vmin": 0, "vmax": 1}
    sides = _edges(x, axes.get_xscale()), _edges(y, axes.get_yscale())
    mesh = axes.pcolormesh(*sides, values, shading="flat", rasterized=True, **limits)
    if not limits:
        axes.figure.colorbar(mesh, ax=axes)
    box = axes.get_xlim(), axes.get_ylim()
    for place, (label, (across, up)) in enumerate((boundaries or {}).items()):
        style, colour = ("-", "--", ":", "-.")[place // len(EDGES) % 4], EDGES[place % len(EDGES)]
        axes.plot(across, up, color=colour, linewidth=2, linestyle=style, label=label)
    axes.set(xlim=box[0], ylim=box[1])


def _edges(centres: np.ndarray, scale: str) -> np.ndarray:
    """The sides of cells, halfway between their centres as the scale of the axis has it."""
    at = np.asarray(centres, np.float64)
    if scale == "log":
        at = np.log(at)
    if len(at) == 1:
        sides = at + np.array([-0.5, 0.5])
    else:
        half = np.diff(at) / 2
        sides = np.concatenate([at[:1] - half[:1], at[:-1] + half, at[-1:] + half[-1:]])
    return np.exp(sides) if scale == "log" else sides


class Plane(NamedTuple):
    """Two directions through a point among all weights: what of a network's loss can be drawn."""

    origin: np.ndarray  # (n,)
    directions: np.ndarray  # (2, n)
    shares: tuple[float, float] | None = None  # of a path's variance, along each direction

    def at(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The weights at coordinates ``a`` and ``b`` of one shape: (..., n)."""
        a, b = np.asarray(a)[..., None], np.asarray(b)[..., None]
        return self.origin + a * self.directions[0] + b * self.directions[1]

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        """The nearest points of the plane to ``weights`` (..., n): (..., 2)."""
        away = np.asarray(weights) - self.origin
        found: np.ndarray = away @ np.linalg.pinv(self.directions)
        return found

    def heights(
        self,
        losses: Callable[[np.ndarray], np.ndarray],
        a: np.ndarray,
        b: np.ndarray,
        chunk: int = 256,
    ) -> np.ndarray:
        """A loss over the grid of ``a`` and ``b``: (len(b), len(a)), as :func:`contours` takes it.

        Args:
            losses: (m, n) weights -> (m,) losses; always called with ``chunk`` rows, so that a
                compiled function is compiled once.
            a: (columns,).
            b: (rows,).
            chunk: how many weights are held at a time.
        """
        across, up = (grid.ravel() for grid in np.meshgrid(a, b))
        found = []
        for start in range(0, len(across), chunk):
            places = np.minimum(np.arange(start, start + chunk), len(across) - 1)
            found.append(np.asarray(losses(self.at(across[places], up[places]))))
        return np.concatenate(found)[: len(across)].reshape(len(b), len(a))


def pca_plane(weights: np.ndarray, origin: np.ndarray | None = None) -> Plane:
    """The plane through ``origin`` along which paths spread most: their two main components.

    Args:
        weights: (k, n), the points of one path or of several, stacked; k >= 3, n >= 2.
        origin: (n,); default the last of ``weights``, where a path ends.

    Returns:
        the plane; its ``shares`` say how much of the squared distance to the origin it shows.

    Raises:
        ValueError: weights of another shape, or not finite, as where a training diverged.
    """
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 2 or len(weights) < 3 or weights.shape[1] < 2:
        raise ValueError(f"weights must be (k, n) with k >= 3 and n >= 2, not {weights.shape}")
    origin = weights[-1] if origin is None else np.asarray(origin, np.float64)
    wrong = np.flatnonzero(~np.isfinite(weights - origin).all(axis=1))
    if len(wrong):
        raise ValueError(f"weights or origin are not finite, first in point {wrong[0]}")
    _, sizes, directions = np.linalg.svd(weights - origin, full_matrices=False)
    power = sizes**2 / max(float((sizes**2).sum()), np.finfo(np.float64).tiny)
    return Plane(origin, directions[:2], (float(power[0]), float(power[1])))


def random_plane(leaves: Sequence[np.ndarray], seed: int = 0) -> Plane:
    """A plane through a network's weights along two random directions of the weights' own scale.

    Each unit's direction has the length of the unit's weights (a column of a kernel), so that
    planes of networks that are scaled differently compare.  Li et al. (2018), section 4.

    Args:
        leaves: the parameters' arrays; :attr:`Plane.origin` is them in this order, flat.
        seed: of the directions.
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(leaf, np.float64) for leaf in leaves]

    def direction() -> np.ndarray:
        parts = []
        for leaf in arrays:
            d = rng.normal(size=leaf.shape)
            axes = tuple(range(leaf.ndim - 1)) if leaf.ndim > 1 else None
            size = lambda x, axes=axes: np.sqrt((x**2).sum(axis=axes, keepdims=True))
            parts.append((d * size(leaf) / size(d)).ravel())
        return np.concatenate(parts)

    origin = np.concatenate([leaf.ravel() for leaf in arrays])
    return Plane(origin, np.stack([direction(), direction()]))
