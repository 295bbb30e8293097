"""``tasks``: what can be trained."""

import textwrap
from dataclasses import dataclass

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.say import say


@dataclass(frozen=True)
class Tasks(Asked):
    """List the tasks that can be trained."""


def tasks(_: Tasks) -> Answer:
    """Print a line a task."""
    from jaxopt_course.problems.catalog import TASK_DESCRIPTIONS
    from jaxopt_course.problems.downloads import DOWNLOADS
    from jaxopt_course.problems.packaged import INSTALL, R, entries

    for name, description in TASK_DESCRIPTIONS.items():
        say(f"{name:19s}{description}")
    for name, description in DOWNLOADS.items():
        say(f"{name:19s}{description} (openml.org: downloaded once)")
    packages: dict[str, list[str]] = {}
    for name, entry in entries().items():
        if name.startswith(R):
            package, table = name.split("/")
            packages.setdefault(package, []).append(table)
        else:
            say(f"{name:19s}{entry.description} ({INSTALL})")
    say("", f"Real tables, by names as {R}modeldata/attrition ({INSTALL}):")
    for package, names in packages.items():
        said = f"{package}/".ljust(19) + ", ".join(names)
        say(*textwrap.wrap(said, 99, subsequent_indent=" " * 19, break_on_hyphens=False))
    say(
        "",
        "A number takes fewer training images, and a fifth of it in each other part: "
        "mnist_cnn-5000.",
        "-torch takes the network as the notes print it for PyTorch, not for Keras: "
        "mnist_cnn-torch.",
    )
    known = [*TASK_DESCRIPTIONS.items(), *DOWNLOADS.items()]
    known += [(name, entry.description) for name, entry in entries().items()]
    needs = dict.fromkeys(entries(), INSTALL)
    rows = [(name, said, name in DOWNLOADS, needs.get(name)) for name, said in known]
    keys = ("name", "description", "download", "needs")
    return Answer(lambda: {"tasks": [dict(zip(keys, row, strict=True)) for row in rows]})
