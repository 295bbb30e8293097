"""The order of the data is a bijection that mixes and that depends on seed and epoch alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxopt_course.problems.order import shuffled


def order(seed, epoch, n):
    return np.asarray(shuffled(jnp.uint32(seed), jnp.int32(epoch), jnp.arange(n), n))


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(
    n=st.sampled_from([1, 2, 3, 5, 7, 64, 100, 1078]),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 10_000),
)
def test_is_a_bijection(n, seed, epoch):
    assert sorted(order(seed, epoch, n)) == list(range(n))


def test_depends_on_seed_and_epoch():
    assert (order(0, 0, 100) == order(0, 0, 100)).all()
    assert (order(0, 0, 100) != order(1, 0, 100)).any()
    assert (order(0, 0, 100) != order(0, 1, 100)).any()


@pytest.mark.parametrize("n", [5, 37])
def test_every_example_is_equally_likely_everywhere(n):
    seeds = jnp.arange(4000, dtype=jnp.uint32)
    orders = np.asarray(
        jax.jit(jax.vmap(lambda s: shuffled(s, jnp.int32(0), jnp.arange(n), n)))(seeds)
    )
    counts = np.stack([np.bincount(orders[:, i], minlength=n) for i in range(n)])
    assert stats.chisquare(counts.ravel(), ddof=2 * n - 2).pvalue > 1e-4


def test_neighbours_are_unrelated():
    """Swap-or-not moves pairs; with too few rounds their differences give it away."""
    n, seeds = 1078, jnp.arange(2000, dtype=jnp.uint32)
    orders = np.asarray(
        jax.jit(jax.vmap(lambda s: shuffled(s, jnp.int32(3), jnp.arange(n), n)))(seeds)
    )
    difference = (orders[:, 1:] - orders[:, :-1]) % n
    assert stats.chisquare(np.bincount(difference.ravel(), minlength=n)[1:]).pvalue > 1e-4


def test_all_orders_of_five_appear_equally_often():
    seeds = jnp.arange(12_000, dtype=jnp.uint32)
    orders = np.asarray(
        jax.jit(jax.vmap(lambda s: shuffled(s, jnp.int32(0), jnp.arange(5), 5)))(seeds)
    )
    _, counts = np.unique(orders @ 5 ** np.arange(5), return_counts=True)
    assert len(counts) == 120
    assert stats.chisquare(counts).pvalue > 1e-4
