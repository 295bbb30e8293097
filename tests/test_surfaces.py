"""Surfaces: heights and slopes at known points, against SciPy, and as tasks of the sweep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from long_form import every
from scipy.optimize import check_grad, rosen, rosen_der

import jaxopt_course as joc
from jaxopt_course.problems.surfaces import FENCE, SURFACES, Surface, bowl, together

TURNED = bowl(degrees=30.0)
ALL = [*SURFACES.values(), TURNED]
named = pytest.mark.parametrize("surface", ALL, ids=lambda surface: surface.name)
some = pytest.mark.parametrize("surface", every(2, ALL), ids=lambda surface: surface.name)


@some
def test_the_minima_are_minima(surface):
    with jax.enable_x64(True):
        for minimum in map(jnp.array, surface.minima):
            assert abs(surface(minimum) - surface.lowest) < 1e-12
            assert jnp.abs(jax.grad(surface)(minimum)).max() < 1e-12
            assert jnp.linalg.eigvalsh(jax.hessian(surface)(minimum)).min() > 0
            assert surface.distance(minimum) == 0


@named
def test_nothing_in_the_box_is_lower(surface):
    x, y, heights = surface.grid(401)
    assert heights.shape == (401, 401) and np.isfinite(heights).all()
    assert heights.min() >= surface.lowest - 1e-5
    row, column = np.unravel_index(heights.argmin(), heights.shape)
    assert surface.distance(jnp.array([x[column], y[row]])) < 0.1
    for point in (surface.start, *surface.minima):
        (left, right), (bottom, top) = surface.box
        assert left <= point[0] <= right and bottom <= point[1] <= top


@named
def test_slopes_by_finite_differences(surface):
    with jax.enable_x64(True):
        for point in np.random.default_rng(0).uniform(-1.5, 1.5, (5, 2)):
            error = check_grad(surface.function, lambda p: np.asarray(jax.grad(surface)(p)), point)
            assert error < 1e-4 * (1 + np.abs(jax.grad(surface)(point)).max())


def test_rosenbrock_is_scipys():
    with jax.enable_x64(True):
        for point in np.random.default_rng(1).normal(size=(20, 2)) * 2:
            ours = SURFACES["rosenbrock"](jnp.array(point))
            np.testing.assert_allclose(ours, rosen(point), rtol=1e-12)
            slope = jax.grad(SURFACES["rosenbrock"])(jnp.array(point))
            np.testing.assert_allclose(slope, rosen_der(point), rtol=1e-12, atol=1e-10)


def test_known_heights():
    with jax.enable_x64(True):
        at = lambda name, *point: float(SURFACES[name](jnp.array(point)))
        assert at("beale", 0.0, 0.0) == 1.5**2 + 2.25**2 + 2.625**2
        assert at("himmelblau", 0.0, 0.0) == 11**2 + 7**2
        np.testing.assert_allclose(at("rastrigin", 1.0, -2.0), 5.0, rtol=1e-12)
        np.testing.assert_allclose(at("rastrigin", 0.5, 0.5), 40.5, rtol=1e-12)
        assert at("saddle", 0.0, 0.0) == 0.0
        assert at("bowl", 2.0, 1.0) == 52.0


def test_a_turned_bowl_has_the_same_race():
    """Its curvatures, and the start's place between them, are those of the bowl that is not."""
    plain = SURFACES["bowl"]
    hessian = lambda surface: jax.hessian(surface)(jnp.zeros(2))
    np.testing.assert_allclose(jnp.linalg.eigvalsh(hessian(TURNED)), [1, 100], rtol=1e-4)
    assert abs(hessian(TURNED)[0, 1]) > 10
    heights = [surface(jnp.array(surface.start)) for surface in (plain, TURNED)]
    np.testing.assert_allclose(*heights, rtol=1e-5)


def test_the_saddle_has_a_saddle():
    at = jnp.zeros(2)
    assert jnp.abs(jax.grad(SURFACES["saddle"])(at)).max() == 0
    assert jnp.linalg.eigvalsh(jax.hessian(SURFACES["saddle"])(at)).tolist() == [-1.0, 1.0]


def test_a_surface_trains_in_a_sweep():
    surface = SURFACES["bowl"]
    trials = joc.grid(optimizer=["sgd"], learning_rate=[0.01, 1.0], seed=[0])
    study = joc.sweep(
        surface.task(), trials, steps=50, batch_size=1, devices=jax.devices()[:1], progress=False
    )
    assert study.trials["status"].tolist() == ["finished", "diverged"]
    path = np.stack([study.curves["valid_x"][0], study.curves["valid_y"][0]], axis=-1)
    steps = np.arange(1, 51)[:, None]  # x_t = (1 - η λ)^t x_0
    exact = np.array(surface.start) * (1 - 0.01 * np.array([1.0, 100.0])) ** steps
    np.testing.assert_allclose(path, exact, rtol=1e-4, atol=1e-7)


def test_seeds_are_starts():
    task = SURFACES["rastrigin"].task(anywhere=True)
    starts = np.stack([task.init(jax.random.key(seed))[0] for seed in range(200)])
    assert (np.abs(starts) <= 5.12).all() and (np.abs(starts.mean(axis=0)) < 1).all()
    assert len(np.unique(starts)) == 400


@pytest.mark.long
def test_a_ball_races_as_if_alone():
    """And one that is thrown out of the square does not take the others along."""
    steep = Surface("steep", lambda p: 1e6 * jnp.sum(p**2), ((0.0, 0.0),), 0.0, (1.0, 1.0),
                    ((-1.0, 1.0), (-1.0, 1.0)), "here")  # fmt: skip
    surfaces = {name: SURFACES[name] for name in ("himmelblau", "bowl")} | {"steep": steep}
    task = together(surfaces)
    params, _ = task.init(jax.random.key(0))
    alone = {name: jnp.array(surface.start) for name, surface in surfaces.items()}
    tx = joc.adam(0.1), joc.momentum(1e-3)
    for optimizer, steps in zip(tx, (60, 60), strict=True):
        balls = _descend(optimizer, lambda p: task.loss(p, {}, {}, None)[0], params, steps)
        measured = task.evaluate(balls, {}, {})
        assert jnp.isfinite(measured["loss"])
        for name in ("himmelblau", "bowl"):
            apart = _descend(optimizer, surfaces[name], alone[name], steps)
            together_with = [measured[f"{name}_x"], measured[f"{name}_y"]]
            np.testing.assert_allclose(together_with, apart, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(measured[name], surfaces[name](apart), rtol=1e-3, atol=1e-5)
    assert jnp.isinf(measured["steep"])  # of momentum
    assert jnp.abs(measured["steep_x"]) > FENCE


def _descend(tx, loss, params, steps):
    def step(carry, _):
        params, state = carry
        u, state = tx.update(jax.grad(loss)(params), state, params)
        return (joc.apply_updates(params, u), state), None

    return jax.lax.scan(step, (params, tx.init(params)), length=steps)[0][0]
