"""The order in which a trial sees its examples: a bijection that is computed, not stored.

One epoch of a trial visits the examples in the order  σ(0), σ(1), …, σ(n-1),  where σ is a
permutation of {0, …, n-1} that depends on the trial's seed and the epoch alone.  Each value is
computed from its position, so nothing of size n is sorted or carried.

σ is the swap-or-not shuffle: for rounds r = 1, …, R with a key k_r in {0, …, n-1},

    y = (k_r - x) mod n          the partner of x; the partner of y is x again
    x ← y  if  bit_r(max(x, y))  else  x

Both partners see the same bit, so each round, and with it σ, is a bijection for every n: the
domain need not be a power of two.

Hoang, Morris and Rogaway (2012), "An Enciphering Scheme Based on a Card Shuffle", CRYPTO, fig. 1.
The bits come from Mueller's and Wellons' integer mixer ("lowbias32", hash-prospector, 2018).
"""

import jax
import jax.numpy as jnp

# two neighbours stay neighbours with probability 2^-R; at 12 rounds a chi-squared test over 4,000
# orders of 1,078 examples still sees it, at 16 it does not; a round costs an index 0.6 ns
ROUNDS = 16


def shuffled(seed: jax.Array, epoch: jax.Array, positions: jax.Array, examples: int) -> jax.Array:
    """The examples at ``positions`` of the given epoch: σ(positions).

    Args:
        seed: of the trial; (), an integer in [0, 2³²).
        epoch: from 0; (), an integer.
        positions: any shape, integers in [0, examples).
        examples: n, a Python integer in [1, 2³¹).

    Returns:
        int32 indices of the shape of ``positions``.

    >>> order = shuffled(jnp.uint32(0), jnp.int32(0), jnp.arange(5), examples=5)
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4]
    """
    n = jnp.uint32(examples)
    stream = _mix(_mix(seed.astype(jnp.uint32)) + epoch.astype(jnp.uint32))
    keys = _mix(stream + jnp.arange(1, 2 * ROUNDS + 1, dtype=jnp.uint32))
    rounds = keys.reshape(ROUNDS, 2)

    def swap(x: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        k, salt = one
        y = jnp.where(x <= k, k - x, k + n - x)
        bit = _mix(jnp.maximum(x, y) ^ salt) >> 31
        return jnp.where(bit == 1, y, x), None

    # a loop, since rounds in one kernel are computed anew for each number that a row is gathered by
    x, _ = jax.lax.scan(swap, positions.astype(jnp.uint32), (rounds[:, 0] % n, rounds[:, 1]))
    return x.astype(jnp.int32)


def _mix(x: jax.Array) -> jax.Array:
    """A bijection of the 32-bit integers in which every input bit reaches every output bit."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
