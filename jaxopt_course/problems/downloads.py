"""Tasks whose data come from openml.org: the notes' networks for images, and three tables.

    joc.sweep("mnist_cnn", trials, epochs=1, batch_size=32)
    joc.load_task("mnist_cnn-5000")              # 5,000 training images, 1,000 of each other part
    joc.load_task("cifar10_cnn-torch")           # as the notes print it for PyTorch

The notes print each network for images twice, for Keras and for PyTorch, and the two are not the
same; the name says which, Keras where it says nothing.

===================  =======================================  ==================================
task                 Keras: layers, parameters                PyTorch: layers, parameters
===================  =======================================  ==================================
``mnist_dense``      784-128-10: 101,770                      the same
``mnist_cnn``        conv 32, pool, conv 64, pool, 64, 10:    conv 32, pool, conv 64, pool, 128,
                     121,930                                  10: 225,034
``cifar10_cnn``      conv 32, pool, conv 64, pool, conv 64,   conv 32, pool, conv 64, pool, 128,
                     64, 10: 122,570                          10: 315,722
===================  =======================================  ==================================

All convolutions are 3 x 3 without padding, all pools 2 x 2, ReLU after each layer but the last; the
loss is softmax cross-entropy.  Where Keras's output layer prints a softmax, it is in the loss here.
The notes' PyTorch network for MNIST cannot run as printed: its dense layer wants 9,216 inputs, and
two pools leave 1,600.  Here it takes 1,600, as its ``forward`` does.  ``IMAGE_TASKS`` holds the
optimizers, epochs and batch sizes that are printed with each:

    recipe = IMAGE_TASKS["mnist_cnn"].recipes["keras"]
    trials = pd.DataFrame(recipe.trials).assign(seed=0)
    joc.sweep("mnist_cnn", trials, epochs=recipe.epochs, batch_size=recipe.batch_size, lanes=1)

On CPU a convolution fills a core: ``lanes=1`` takes the least time a step, and the least memory.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxopt_course.messages import unknown
from jaxopt_course.problems.openml import SOURCES, official_parts, table
from jaxopt_course.problems.tasks import Task

HELD_OUT = 10_000  # images of the official training part that a task chooses by
EVALUATE_CHUNK = 100  # images that pass through a convolutional network at a time


class Recipe(NamedTuple):
    """How the notes train a network."""

    trials: tuple[dict[str, Any], ...]  # rows of a table of trials
    epochs: int
    batch_size: int  # Keras's default where the notes give none


class ImageTask(NamedTuple):
    """A network of the notes for a set of images."""

    source: str  # of SOURCES
    layers: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]  # like -> convolutions, dense
    recipes: dict[str, Recipe]  # like -> as printed

    def description(self, like: str = "keras") -> str:
        """One line: the images, the layers."""
        source, (convolutions, dense) = SOURCES[self.source], self.layers[like]
        if not convolutions:
            dense = (math.prod(source.shape or ()), *dense)
        maps = f"convolutions {'-'.join(map(str, convolutions))}, " if convolutions else ""
        return f"{source.description}; {maps}dense {'-'.join(map(str, dense))}"


def _same(layers: tuple[tuple[int, ...], tuple[int, ...]]) -> dict[str, Any]:
    return {"keras": layers, "torch": layers}


IMAGE_TASKS: dict[str, ImageTask] = {
    "mnist_dense": ImageTask(
        "mnist",
        _same(((), (128, 10))),
        {
            "keras": Recipe(
                (
                    {"optimizer": "keras.adam", "learning_rate": 0.001},
                    {"optimizer": "keras.rmsprop", "learning_rate": 0.001},
                ),
                epochs=5,
                batch_size=32,
            ),
            "torch": Recipe(
                ({"optimizer": "torch.rmsprop", "learning_rate": 0.001, "decay": 0.9},),
                epochs=5,
                batch_size=64,
            ),
        },
    ),
    "mnist_cnn": ImageTask(
        "mnist",
        {"keras": ((32, 64), (64, 10)), "torch": ((32, 64), (128, 10))},
        {
            "keras": Recipe(
                ({"optimizer": "keras.momentum", "learning_rate": 0.01, "momentum": 0.9},), 10, 32
            ),
            "torch": Recipe(
                ({"optimizer": "torch.momentum", "learning_rate": 0.01, "momentum": 0.9},), 10, 64
            ),
        },
    ),
    "cifar10_cnn": ImageTask(
        "cifar10",
        {"keras": ((32, 64, 64), (64, 10)), "torch": ((32, 64), (128, 10))},
        {
            "keras": Recipe(({"optimizer": "keras.sgd", "learning_rate": 0.01},), 10, 32),
            "torch": Recipe(({"optimizer": "torch.sgd", "learning_rate": 0.01},), 10, 32),
        },
    ),
}
DOWNLOADS: dict[str, str] = {name: image.description() for name, image in IMAGE_TASKS.items()} | {
    name: source.description for name, source in SOURCES.items() if source.shape is None
}


def split_name(name: str) -> tuple[str, str, int | None] | None:
    """Task, framework and number of training images that a name asks for; None for no such task.

    >>> split_name("mnist_cnn-torch-5000")
    ('mnist_cnn', 'torch', 5000)
    >>> split_name("bank_marketing")
    ('bank_marketing', 'keras', None)
    >>> split_name("mnist_cmm"), split_name("bank_marketing-100")
    (None, None)
    """
    match = re.fullmatch(r"(\w+?)(-torch)?(?:-([1-9][0-9]*))?", str(name))
    if match is None or match[1] not in DOWNLOADS:
        return None
    if match[1] not in IMAGE_TASKS and (match[2] or match[3]):
        return None
    return match[1], "torch" if match[2] else "keras", int(match[3]) if match[3] else None


def openml_task(name: str, data_home: str | Path | None = None) -> Task:
    """A data set of openml.org as a task; the names are those of ``DOWNLOADS``.

    Tables are split 60/20/20 in equal shares of the classes, and get an MLP with two hidden layers
    of 64 units.  Images are :func:`image_task`'s, whose framework and number the name may hold.

    Raises:
        ValueError: an unknown name.
        ConnectionError: see :func:`~jaxopt_course.problems.openml.fetch`.
    """
    asked = split_name(name)
    if asked is None:
        raise ValueError(unknown("task of openml.org", name, DOWNLOADS))
    base, like, examples = asked
    if base in IMAGE_TASKS:
        return image_task(base, examples=examples, like=like, data_home=data_home)
    from jaxopt_course.problems.tables import table_task

    frame, target = table(name, data_home)
    return table_task(frame, target, name=name, description=DOWNLOADS[name])


def image_task(
    name: str,
    *,
    examples: int | None = None,
    like: str = "keras",
    data_home: str | Path | None = None,
) -> Task:
    """One of the notes' networks for images, with the set that it is for.

    Images stay bytes, (n, height, width, channels) uint8, a quarter of the memory; the network
    scales them as the notes do.  Of the official training part the last 10,000 are the validation
    part, so MNIST has 50,000 / 10,000 / 10,000 images and CIFAR-10 40,000 / 10,000 / 10,000; the
    test part is the official one.  (The notes validate on the test images, and keep nothing to
    look at in the end.)  That openml.org keeps the official order is checked as far as it can be.

    Args:
        name: ``mnist_dense``, ``mnist_cnn`` or ``cifar10_cnn``.
        examples: how many training images; the other parts then have a fifth of that each.  They
            are taken at equal distances, as the first half of MNIST's test part is the easier one.
        like: "keras" or "torch", whose network, weights to start with and scale of pixels to take.
        data_home: the folder of the cache, in place of scikit-learn's.

    Raises:
        ValueError: an unknown name or framework, or more images than there are.
        ConnectionError: see :func:`~jaxopt_course.problems.openml.official_parts`.
    """
    if name not in IMAGE_TASKS:
        raise ValueError(unknown("task of images", name, IMAGE_TASKS))
    task = IMAGE_TASKS[name]
    if like not in task.layers:
        raise ValueError(unknown("framework", like, task.layers))
    room = SOURCES[task.source].train - HELD_OUT
    if examples is not None and examples not in range(5, room + 1):
        raise ValueError(f"{name} can have from 5 to {room:,} training images, not {examples!r}")
    (pixels, labels), test = official_parts(task.source, data_home)
    parts = [(pixels[:-HELD_OUT], labels[:-HELD_OUT]), (pixels[-HELD_OUT:], labels[-HELD_OUT:])]
    parts.append(test)
    if examples is not None:
        sizes = (examples, examples // 5, examples // 5)
        parts = [_thinned(*part, size) for part, size in zip(parts, sizes, strict=True)]
    train, valid, test = parts
    framework = "" if like == "keras" else f"-{like}"
    return Task.from_flax(
        network(name, like),
        *train,
        valid=valid,
        test=test,
        loss="softmax_cross_entropy",
        name=name + framework + (f"-{examples}" if examples else ""),
        description=task.description(like),
        # Patches and maps take half a megabyte an image and lane; 10,000 images are whole chunks.
        evaluate_chunk=EVALUATE_CHUNK if task.layers[like][0] else 2000,
        uint8=True,
    )


def network(name: str, like: str = "keras") -> Callable[..., Any]:
    """What makes the network of an image task when called with ``rngs``.

    >>> from flax import nnx
    >>> network("mnist_cnn")(rngs=nnx.Rngs(0)).dense[0].kernel.shape
    (1600, 64)
    """
    from jaxopt_course.problems.image_networks import CNN, ImageMLP

    task = IMAGE_TASKS[name]
    channels, height, width = SOURCES[task.source].shape or ()
    convolutions, dense = task.layers[like]
    image = (height, width, channels)
    settings: dict[str, Any] = {"like": like}
    if not convolutions:
        return lambda rngs: ImageMLP(image, dense, **settings, rngs=rngs)
    return lambda rngs: CNN(image, convolutions, dense, **settings, rngs=rngs)


def _thinned(pixels: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """``size`` of the images, at equal distances, in their order."""
    rows = np.arange(size) * len(labels) // size
    return pixels[rows], labels[rows]
