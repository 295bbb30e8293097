"""Where the lessons are, and which of them are meant."""

import re
from collections.abc import Sequence
from pathlib import Path

import jaxopt_course

LESSONS = "[0-9][0-9]_*.py"
CHECKOUT = Path(jaxopt_course.__file__).parents[1]
SHIPPED = Path(__file__).parent / "shipped"  # what a wheel has of the checkout, laid out as there
SCRIPTS = "experiments"
MEASURED = "tests/golden"  # what Keras and PyTorch themselves gave


def find(folder: str | Path | None) -> Path:
    """The folder of the lessons: here, in the checkout of this package, or in its wheel.

    Args:
        folder: where they must be; by default the first of the three that holds lessons.

    Raises:
        FileNotFoundError: none are there.
    """
    roots = (Path(), CHECKOUT, SHIPPED)
    places = [root / SCRIPTS for root in roots] if folder is None else [Path(folder)]
    for place in places:
        files = list(place.glob(LESSONS))
        if files and (folder is not None or all(map(is_lesson, files))):
            return place
    raise FileNotFoundError(
        f"no lessons (as 01_name.py) in {' or '.join(map(str, places))}: every checkout and every "
        "wheel of jaxopt-course holds them, so run this in a checkout, or install the package anew"
    )


def measured(name: str) -> Path:
    """A file of ``tests/golden``, which lessons read where Keras and PyTorch are not installed.

    Raises:
        FileNotFoundError: neither the checkout nor the wheel has it.

    >>> measured("trajectories.npz").stat().st_size > 100_000
    True
    """
    files = [root / MEASURED / name for root in (CHECKOUT, SHIPPED)]
    for file in files:
        if file.is_file():
            return file
    raise FileNotFoundError(f"no {name} in {' or '.join(str(file.parent) for file in files)}")


def is_lesson(file: Path) -> bool:
    """Whether a script begins with a cell: scripts of one's own are not to be run unasked."""
    with open(file, encoding="utf-8", errors="replace") as lines:
        return lines.readline().startswith("# %%")


def choose(every: list[Path], lessons: Sequence[int | str]) -> list[Path]:
    """The lessons of these numbers."""
    numbers = {file: number_of(file.stem) for file in every}
    known = [".".join(map(str, number)) for number in numbers.values()]
    chosen = set()
    for lesson in map(str, lessons):
        asked = number_of(lesson)
        found = {file for file, number in numbers.items() if asked == number[: len(asked)]}
        if not asked or not found:
            raise ValueError(f"there is no lesson {lesson} (there are {', '.join(known)})")
        chosen |= found
    return [file for file in every if not lessons or file in chosen]


def number_of(lesson: str) -> tuple[int, ...]:
    """The number of a lesson, as it is said or as its file is called; empty for what is none.

    >>> number_of("8"), number_of("8.2"), number_of("08_2_tasa_y_lote"), number_of("8.x")
    ((8,), (8, 2), (8, 2), ())
    """
    found = re.match(r"(\d+)(?:[._](\d+))?(?:\.py)?(?:_\D.*)?$", lesson)
    return tuple(int(part) for part in found.groups() if part) if found else ()
