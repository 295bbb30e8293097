"""Landscapes: what is drawn is what was given; planes against closed forms."""

import io

import matplotlib

matplotlib.use("agg")

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxopt_course.report import landscape


def axes():
    return Figure().subplots()


X, Y = np.linspace(-2.0, 2.0, 41), np.linspace(-1.0, 3.0, 31)
HEIGHTS = (1 - X) ** 2 + 100 * (Y[:, None] - X**2) ** 2


def test_contours_are_close_in_the_depths():
    a = axes()
    landscape.contours(a, X, Y, HEIGHTS, lowest=0.0, minima=[(1.0, 1.0)], levels=10)
    filled, lines = a.collections
    edges = np.expm1(np.asarray(lines.levels)) * np.quantile(HEIGHTS, 0.05)
    assert edges[0] == 0 and np.isclose(edges[-1], HEIGHTS.max())
    assert (np.diff(edges, 2) > 0).all()  # ever further apart
    assert len(filled.levels) == 10
    assert a.get_xlim() == (-2, 2) and a.get_ylim() == (-1, 3)
    assert [tuple(line.get_xydata()[0]) for line in a.lines] == [(1.0, 1.0)]


def test_a_flat_surface_has_contours_too():
    a = axes()
    landscape.contours(a, X, Y, np.ones_like(HEIGHTS))
    render(a)


def test_contours_leave_holes_where_nothing_is_known():
    a = axes()
    landscape.contours(a, X, Y, np.where(HEIGHTS > 500, np.nan, HEIGHTS))
    render(a)


def test_paths_are_drawn_as_given_and_move_no_limits():
    a = axes()
    a.set(xlim=(-1, 1), ylim=(-1, 1))
    route = np.cumsum(np.ones((20, 2)), axis=0)
    lines = landscape.paths(a, {"one": route, "two": -route})
    assert [line.get_label() for line in lines] == ["one", "two"]
    np.testing.assert_array_equal(lines[1].get_xydata(), -route)
    assert a.get_xlim() == (-1, 1)
    assert lines[0].get_color() != lines[1].get_color()


@pytest.mark.parametrize("route", [np.zeros((3, 3)), np.zeros(4), np.zeros((0, 2))])
def test_a_path_of_another_shape_is_refused(route):
    with pytest.raises(ValueError, match=r"path of 'bad' must have the shape \(n, 2\)"):
        landscape.paths(axes(), {"bad": route})


def test_a_race_is_an_animation(tmp_path):
    a = axes()
    a.set(xlim=(0, 9), ylim=(0, 9))
    route = np.stack([np.arange(50.0), np.arange(50.0)], axis=1)
    film = landscape.race(a, {"fast": route, "slow": route / 2}, frames=4, tail=0.1)
    film._draw_frame(3)  # its last
    tail, slow_tail, ball, slow = a.lines
    assert ball.get_xydata().tolist() == [[49, 49]] and slow.get_xydata().tolist() == [[24.5, 24.5]]
    assert tail.get_xydata()[:, 0].tolist() == [44, 45, 46, 47, 48, 49]
    assert len(slow_tail.get_xydata()) == 6
    film.save(tmp_path / "race.gif", writer="pillow", dpi=40)
    assert (tmp_path / "race.gif").read_bytes()[:3] == b"GIF"


def test_a_race_needs_paths_of_one_length():
    with pytest.raises(ValueError, match=r"one length, and these have \[2, 3\]"):
        landscape.race(axes(), {"a": np.zeros((2, 2)), "b": np.zeros((3, 2))})


def test_a_stability_map_has_its_boundary():
    a = axes()
    eta, beta = np.linspace(0.1, 4, 30), np.linspace(0, 1, 20)
    converges = eta < 2 * (1 + beta[:, None])
    line = 2 * (1 + beta), beta
    landscape.stability_map(a, eta, beta, converges, boundaries={"2 (1 + β)": line})
    np.testing.assert_array_equal(a.lines[0].get_xdata(), line[0])
    mesh = a.collections[0]
    assert mesh.get_array().shape == (20, 30) and len(mesh.cmap.colors) == 2
    assert len(a.figure.axes) == 1
    landscape.stability_map(axes(), eta, beta, np.where(converges, eta, np.nan))  # shades
    with pytest.raises(ValueError, match="20 rows and 30 columns"):
        landscape.stability_map(axes(), eta, beta, converges.T)
    render(a)


def test_cells_are_around_their_centres_on_logarithmic_axes():
    a = axes()
    a.set(xscale="log")
    x = np.geomspace(1e-3, 1, 4)
    landscape.stability_map(a, x, np.arange(3), np.ones((3, 4), bool))
    sides = a.collections[0].get_coordinates()[0, :, 0]
    np.testing.assert_allclose(sides, 10 ** np.arange(-3.5, 1))
    np.testing.assert_allclose(a.get_xlim(), sides[[0, -1]])
    np.testing.assert_allclose(a.get_ylim(), (-0.5, 2.5))


@pytest.mark.parametrize("scale, sides", [("linear", [0.5, 1.5]), ("log", np.exp([-0.5, 0.5]))])
def test_a_map_of_one_cell(scale, sides):
    a = axes()
    a.set(xscale=scale)
    landscape.stability_map(a, np.ones(1), np.ones(1), np.ones((1, 1), bool))
    np.testing.assert_allclose(a.get_xlim(), sides)


def test_every_boundary_of_a_map_is_drawn_and_told_from_the_others():
    a = axes()
    line = np.arange(3)
    landscape.stability_map(
        a, line, line, np.ones((3, 3), bool), boundaries=dict.fromkeys("abcd", (line, line))
    )
    assert [one.get_label() for one in a.lines] == list("abcd")
    assert len({(one.get_color(), one.get_linestyle()) for one in a.lines}) == 4


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.ones((2, 4)), "k >= 3 and n >= 2"),
        (np.arange(5.0)[:, None], "k >= 3 and n >= 2"),
        (np.array([[1, 2], [np.nan, 3], [3, 4]]), "not finite, first in point 1"),
    ],
)
def test_paths_without_a_plane_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        landscape.pca_plane(weights)


def test_a_path_that_never_moves_has_a_plane():
    plane = landscape.pca_plane(np.ones((4, 3)))
    assert plane.shares == (0, 0)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-12)


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="no height is finite"):
        landscape.contours(axes(), X, Y, np.full_like(HEIGHTS, np.nan))
    with pytest.raises(ValueError, match="at least one path"):
        landscape.race(axes(), {})


def test_the_main_plane_of_a_path_shows_it_whole():
    """Of a path in a plane of 50 dimensions, nothing is left out and distances are kept."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(50, 2)))[0].T
    inside = rng.normal(size=(30, 2)) * [3.0, 0.5]
    weights = rng.normal(size=50) + inside @ basis
    plane = landscape.pca_plane(weights)
    found = plane.coordinates(weights)
    np.testing.assert_allclose(found[-1], 0, atol=1e-12)
    lengths = np.linalg.norm(inside - inside[-1], axis=1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), lengths, atol=1e-12)
    np.testing.assert_allclose(plane.at(*found.T), weights, atol=1e-12)
    np.testing.assert_allclose(sum(plane.shares), 1)
    assert plane.shares[0] > plane.shares[1]


def test_the_main_plane_is_scikit_learns():
    from sklearn.decomposition import PCA

    weights = np.random.default_rng(1).normal(size=(40, 6)) * np.arange(1, 7)
    theirs = PCA(2).fit(weights)
    ours = landscape.pca_plane(weights, origin=weights.mean(axis=0))
    np.testing.assert_allclose(abs(ours.directions), abs(theirs.components_), atol=1e-10)
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_, atol=1e-12)
    with pytest.raises(ValueError, match="k >= 3"):
        landscape.pca_plane(weights[:2])


def test_heights_over_a_plane():
    plane = landscape.Plane(np.array([1.0, 0.0, 0.0]), np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 2.0]]))
    a, b = np.linspace(-1, 1, 7), np.linspace(0, 1, 5)
    calls = []

    def losses(weights):
        calls.append(weights.shape)
        return (weights**2).sum(axis=1)

    heights = plane.heights(losses, a, b, chunk=8)
    np.testing.assert_allclose(heights, 1 + (a + b[:, None]) ** 2 + (2 * b[:, None]) ** 2)
    assert set(calls) == {(8, 3)}
    np.testing.assert_allclose(plane.coordinates(plane.at(0.3, -2.0)), [0.3, -2.0])


def test_random_directions_have_the_size_of_each_unit():
    rng = np.random.default_rng(2)
    kernel, bias = rng.normal(size=(5, 3)) * [1.0, 10.0, 0.1], rng.normal(size=3)
    plane = landscape.random_plane([kernel, bias, np.zeros((2, 2))])
    np.testing.assert_array_equal(plane.origin[:15], kernel.ravel())
    for direction in plane.directions:
        of_kernel = direction[:15].reshape(5, 3)
        sizes = np.linalg.norm(kernel, axis=0)
        np.testing.assert_allclose(np.linalg.norm(of_kernel, axis=0), sizes)
        np.testing.assert_allclose(np.linalg.norm(direction[15:18]), np.linalg.norm(bias))
        assert (direction[18:] == 0).all()
    again = landscape.random_plane([kernel, bias, np.zeros((2, 2))])
    np.testing.assert_array_equal(plane.directions, again.directions)


def render(a):
    a.figure.savefig(io.BytesIO(), dpi=50)
