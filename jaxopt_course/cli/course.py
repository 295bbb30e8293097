"""``course``: the lessons, run and rendered."""

from dataclasses import dataclass
from pathlib import Path

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.outcome import seconds
from jaxopt_course.cli.say import say


@dataclass(frozen=True)
class Course(Asked):
    """Run the lessons of the course, and render them with their figures to static HTML."""

    lesson: tuple[str, ...] = ()
    """Which, by number (8, or 8.2); default all."""
    out: Path = Path("site")
    """Where to write; begin reading at its index.html."""
    quick: bool = False
    """Fewer trials and steps, as in checks: a look at the pages, not at the figures."""
    overwrite: bool = False
    """Whether pages may be written among files that --out holds."""


def course(arguments: Course) -> Answer:
    """Build the site; the code is 1 where a lesson failed."""
    try:
        from jaxopt_course.course.site import build
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the course needs {error.name}, which is not installed: "
            "pip install 'jaxopt-course[course]' (in a checkout: pip install -e '.[course]')"
        ) from None
    ran = build(
        arguments.out, arguments.lesson, quick=arguments.quick, overwrite=arguments.overwrite
    )
    say(arguments.out / "index.html", f"{seconds():.1f} s in all")
    lessons = [{"name": lesson.name, "failure": lesson.failure or None} for lesson in ran]
    document = {"page": arguments.out / "index.html", "lessons": lessons, "seconds": seconds()}
    return Answer(lambda: document, code=int(any(one.failure for one in ran)))
