"""The notes' networks for images, as they print them for Keras and for PyTorch.

    image -> [convolution 3 x 3, ReLU, max-pool 2 x 2] ... -> flat -> [dense, ReLU] ... -> logits

Convolutions have no padding: each takes two rows and two columns off, a pool halves what is left.
The two frameworks differ in what weights start as, in the scale of the pixels, and in the order in
which an image is flattened, which only a carried-over kernel can tell.

==================  ======================================  ====================================
like                "keras"                                 "torch"
==================  ======================================  ====================================
weights             Glorot: U(±√(6 / (fan-in + fan-out)))   U(±1 / √fan-in)
biases              0                                       U(±1 / √fan-in)
pixels              x / 255, in [0, 1]                      (x / 255 - 0.5) / 0.5, in [-1, 1]
==================  ======================================  ====================================

Importing this file imports Flax.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxopt_course.messages import unknown
from jaxopt_course.problems.convolution import Conv, max_pool
from jaxopt_course.problems.regularization import drop

Like = Literal["keras", "torch"]
LIKES = ("keras", "torch")


class ImageMLP(nnx.Module):
    """Pixels laid end to end, then dense layers with ReLU between them; logits.

    Args:
        image: (height, width, channels).
        widths: of the hidden layers and of the output.
        like: "keras" or "torch": the weights that it starts with, and the scale of the pixels.
        rngs: Flax's random streams; ``params`` draws the weights.

    A column "dropout" drops units of the hidden dense layers; see ``regularization``.

    Raises:
        ValueError: a size below 1, no width, or an unknown ``like``.

    >>> import jax
    >>> from flax import nnx
    >>> net = ImageMLP((28, 28, 1), (128, 10), rngs=nnx.Rngs(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(nnx.state(net)))
    101770
    """

    def __init__(
        self, image: Sequence[int], widths: Sequence[int], *, like: Like = "keras", rngs: nnx.Rngs
    ):
        _check_sizes(image, widths, like)
        self.like = like
        self.dense = _dense_layers((math.prod(image), *widths), like, rngs)

    columns = frozenset({"dropout"})

    def __call__(
        self, x: jax.Array, h: Mapping[str, Any] | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Map images (B, height, width, channels) to logits (B, widths[-1]); see :func:`scaled`."""
        return _through(self.dense, scaled(x, self.like), h, key)


class CNN(nnx.Module):
    """Convolutions 3 x 3 with ReLU, a max-pool after the first ones, then dense layers; logits.

    Args:
        image: (height, width, channels).
        convolutions: how many kernels each layer has.
        widths: of the dense layers that follow, the output the last.
        pools: how many convolutions, from the first on, a max-pool of 2 x 2 follows.
        like: "keras" or "torch": the weights that it starts with, and the scale of the pixels.
        rngs: Flax's random streams; ``params`` draws the weights.

    A column "dropout" drops units of the hidden dense layers; see ``regularization``.

    Raises:
        ValueError: a size below 1, no convolution, no width, an unknown ``like``, or an image too
            small for so many layers.

    >>> import jax
    >>> from flax import nnx
    >>> net = CNN((32, 32, 3), (32, 64, 64), (64, 10), rngs=nnx.Rngs(0))
    >>> jax.eval_shape(net, jax.numpy.zeros((5, 32, 32, 3))).shape
    (5, 10)
    >>> sum(leaf.size for leaf in jax.tree.leaves(nnx.state(net)))
    122570
    """

    def __init__(
        self,
        image: Sequence[int],
        convolutions: Sequence[int],
        widths: Sequence[int],
        *,
        pools: int = 2,
        like: Like = "keras",
        rngs: nnx.Rngs,
    ):
        _check_sizes(image, (*convolutions, *widths[-1:]), like)
        if not convolutions:
            raise ValueError("CNN needs one or more convolutions; without, it is an ImageMLP")
        self.like, self.pools = like, pools
        height, width, channels = image
        layers: list[Conv] = []
        for i, features in enumerate(convolutions):
            start = _initializers(9 * channels, like)
            layers.append(Conv(channels, features, (3, 3), padding="VALID", rngs=rngs, **start))
            shrink = 2 if i < pools else 1
            height, width, channels = (height - 2) // shrink, (width - 2) // shrink, features
            if min(height, width) < 1:
                raise ValueError(
                    f"images of {image[0]} x {image[1]} are too small: nothing is left of them "
                    f"after convolution {i + 1} of {len(convolutions)}"
                )
        self.convolutions = nnx.List(layers)
        self.dense = _dense_layers((height * width * channels, *widths), like, rngs)

    columns = frozenset({"dropout"})

    def __call__(
        self, x: jax.Array, h: Mapping[str, Any] | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Map images (B, height, width, channels) to logits (B, widths[-1]); see :func:`scaled`."""
        x = scaled(x, self.like)
        for i, convolution in enumerate(self.convolutions):
            x = jax.nn.relu(convolution(x))
            if i < self.pools:
                x = max_pool(x, (2, 2), (2, 2))
        return _through(self.dense, x, h, key)


def scaled(pixels: jax.Array, like: Like = "keras") -> jax.Array:
    """Whole numbers are pixels, 0 to 255, and become what the notes train on; reals stay.

    >>> scaled(jnp.array([0, 255], jnp.uint8), "torch")
    Array([-1.,  1.], dtype=float32)
    """
    if not jnp.issubdtype(pixels.dtype, jnp.integer):
        return pixels
    unit = pixels.astype(jnp.float32) / 255
    return unit if like == "keras" else (unit - 0.5) / 0.5


def _check_sizes(image: Sequence[int], widths: Sequence[int], like: str) -> None:
    if like not in LIKES:
        raise ValueError(unknown("framework", like, LIKES))
    if len(image) != 3 or not widths or min(*image, *widths) < 1:
        raise ValueError(
            "an image is (height, width, channels) and each layer has a width, all at least 1; "
            f"got {tuple(image)} and {tuple(widths)}"
        )


def _dense_layers(sizes: Sequence[int], like: Like, rngs: nnx.Rngs) -> nnx.List:
    return nnx.List(
        [
            nnx.Linear(n, m, rngs=rngs, **_initializers(n, like))
            for n, m in itertools.pairwise(sizes)
        ]
    )


def _through(
    dense: Any, x: jax.Array, h: Mapping[str, Any] | None, key: jax.Array | None
) -> jax.Array:
    """The dense layers; the hidden ones' units are dropped as ``MLP`` drops them."""
    x = jnp.reshape(x, (len(x), -1))
    *hidden, last = dense
    for i, layer in enumerate(hidden):
        x = drop(jax.nn.relu(layer(x)), h, key, i)
    return last(x)


def _initializers(fan_in: int, like: Like) -> dict[str, Any]:
    """What the framework's ``Dense`` and ``Conv2D``, ``Linear`` and ``Conv2d`` start with."""
    if like == "keras":
        return {"kernel_init": nnx.initializers.glorot_uniform()}
    bound = 1 / math.sqrt(fan_in)  # of kaiming_uniform_(a=√5), PyTorch's own default

    def uniform(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return {"kernel_init": uniform, "bias_init": uniform}
