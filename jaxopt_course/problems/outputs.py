"""What a network returns: one array or any tree of arrays, all examples or some at a time."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_course.problems import checks, trees
from jaxopt_course.tree import Tree


def at_least_float32(outputs: Tree, one_array: bool) -> Tree:
    """A network's outputs; a mean of many losses in bfloat16 would keep two digits."""
    if one_array:
        checks.one_array(outputs)

    def one(x: jax.Array) -> jax.Array:
        real = jnp.issubdtype(x.dtype, jnp.floating)
        return x.astype(jnp.promote_types(x.dtype, jnp.float32)) if real else x

    return jax.tree.map(one, outputs)


def any_nan(outputs: Tree) -> jax.Array:
    """Whether any real number is NaN."""
    leaves = jax.tree.leaves(outputs)
    found = [jnp.isnan(x).any() for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)]
    return functools.reduce(jnp.logical_or, found) if found else jnp.array(False)


def in_chunks(network: Callable[[Tree], Tree], x: Tree, chunk: int) -> Tree:
    """``network(x)``, computed ``chunk`` examples at a time, one after the other."""
    chunks, rest = divmod(len(jax.tree.leaves(x)[0]), chunk)
    if chunks == 0 or (chunks, rest) == (1, 0):
        return network(x)

    def one(i: jax.Array) -> Tree:
        piece = lambda x: jax.lax.dynamic_slice_in_dim(x, i * chunk, chunk)
        return network(jax.tree.map(piece, x))

    done = jax.lax.map(one, jnp.arange(chunks))
    done = jax.tree.map(lambda y: jnp.reshape(y, (chunks * chunk, *y.shape[2:])), done)
    if not rest:
        return done
    last = network(trees.take(x, slice(chunks * chunk, None)))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), done, last)
