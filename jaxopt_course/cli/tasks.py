"""``tasks``: what can be trained."""

from dataclasses import dataclass

from jaxopt_course.cli.say import say


@dataclass(frozen=True)
class Tasks:
    """List the tasks that can be trained."""


def tasks(_: Tasks) -> None:
    """Print a line a task."""
    from jaxopt_course.problems.catalog import TASK_DESCRIPTIONS
    from jaxopt_course.problems.downloads import DOWNLOADS

    for name, description in TASK_DESCRIPTIONS.items():
        say(f"{name:19s}{description}")
    for name, description in DOWNLOADS.items():
        say(f"{name:19s}{description} (openml.org: downloaded once)")
    say(
        "",
        "A number takes fewer training images, and a fifth of it in each other part: "
        "mnist_cnn-5000.",
        "-torch takes the network as the notes print it for PyTorch, not for Keras: "
        "mnist_cnn-torch.",
    )
