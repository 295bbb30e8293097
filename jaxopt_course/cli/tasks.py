"""``tasks``: what can be trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tasks:
    """List the tasks that can be trained."""


def tasks(_: Tasks) -> None:
    """Print a line a task."""
    from jaxopt_course.problems.catalog import TASK_DESCRIPTIONS
    from jaxopt_course.problems.downloads import DOWNLOADS

    for name, description in TASK_DESCRIPTIONS.items():
        print(f"{name:19s}{description}")
    for name, description in DOWNLOADS.items():
        print(f"{name:19s}{description} (openml.org: downloaded once)")
    print(
        "\nA number takes fewer training images, and a fifth of it in each other part: "
        "mnist_cnn-5000.\n-torch takes the network as the notes print it for PyTorch, not for "
        "Keras: mnist_cnn-torch."
    )
