"""The character transformer as a Flax module."""

import jax
import jax.numpy as jnp
from flax import nnx

from experiments.benchmarks.side_by_side.workloads import BLOCKS, CONTEXT, HEADS, VOCABULARY, WIDTH


class Block(nnx.Module):
    """Causal attention and two linear layers, each behind a norm and with a residual."""

    def __init__(self, rngs):
        norm = lambda: nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.norm1, self.norm2 = norm(), norm()
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm1(x), mask=nnx.make_causal_mask(x[..., 0]))
        return x + self.down(jax.nn.relu(self.up(self.norm2(x))))


class Transformer(nnx.Module):
    """Characters (B, CONTEXT) to logits (B, CONTEXT, VOCABULARY)."""

    def __init__(self, rngs):
        self.characters = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.places = nnx.Embed(CONTEXT, WIDTH, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(BLOCKS)])
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.head = nnx.Linear(WIDTH, VOCABULARY, rngs=rngs)

    def __call__(self, x):
        x = self.characters(x) + self.places(jnp.arange(CONTEXT))[None]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
