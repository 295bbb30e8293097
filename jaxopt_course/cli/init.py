"""``init``: an example of a task of one's own, to change."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.say import say
from jaxopt_course.records.files import naming

EXAMPLE = '''"""A task of your own, for the command `jaxopt-course sweep {name}`."""

import numpy as np
from flax import nnx

import jaxopt_course as joc

# 1. Data: arrays whose first axis counts examples. They are split 60/20/20 into what is learned
#    from, what chooses and what is looked at once; or give valid= and test= yourself.
random = np.random.default_rng(0)
inputs = random.normal(size=(600, 2)).astype("float32")
targets = (np.hypot(*inputs.T) + 0.2 * random.normal(size=600) > 1.2).astype("int32")


# 2. A model: any Flax module; here NNX, made from a seed.
class Net(nnx.Module):
    def __init__(self, hidden, rngs):
        self.first = nnx.Linear(2, hidden, rngs=rngs)
        self.last = nnx.Linear(hidden, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


# 3. The task. The arguments of a function are columns that change shapes or code, a program for
#    each of their values; a task without such columns needs no function.
def task(hidden=32):
    return joc.Task.from_flax(
        lambda rngs: Net(hidden, rngs),
        inputs,
        targets,
        loss="softmax_cross_entropy",
        name="{stem}",
    )


# 4. What is tried: a row a trial, where --set does not say it.
trials = joc.grid(
    optimizer=["sgd", "momentum", "adam"],
    learning_rate=np.geomspace(1e-3, 1, 8),
)

# 5. An optimizer of your own is a function of a row's numbers, in a dictionary by its name:
#
# import optax
#
# def clipped(h):
#     return optax.chain(optax.clip_by_global_norm(h["clip"]), optax.adam(h["learning_rate"]))
#
# optimizer = {{"clipped": clipped}}  # then: --set clip=0.1,1 --set learning_rate=log:1e-4:1:8
'''


@dataclass(frozen=True)
class Init(Asked):
    """Write a commented example of a task of your own, which `jaxopt-course sweep` trains."""

    file: Annotated[Path, tyro.conf.Positional] = Path("my_task.py")
    """Where; a file that is there is never overwritten."""


def init(arguments: Init) -> Answer:
    """Write the example and say how to train it.

    Raises:
        ValueError: the name is none of a Python module.
        FileExistsError: the file is there.
    """
    path = arguments.file
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ValueError(f"{path} must be the name of a Python module, as my_task.py")
    if path.exists() or path.is_symlink():
        raise FileExistsError(f"{path} is there already; give another name")
    if not path.parent.is_dir():
        raise ValueError(f"there is no directory {path.parent}")
    with naming(path), path.open("x", encoding="utf-8") as file:
        try:
            file.write(EXAMPLE.format(name=path, stem=path.stem))
            file.flush()
        except BaseException:  # a full disk: half an example would be in the way the next time
            path.unlink()
            raise
    say(f"{path} written; next: jaxopt-course sweep {path}")
    return Answer(lambda: {"file": path})
