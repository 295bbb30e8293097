"""``site``: guides, reference and course as one site, by Sphinx."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.outcome import seconds
from jaxopt_course.cli.say import say

NEEDED = ("jupytext", "nbclient", "latex2mathml", "sphinx", "myst_nb", "sphinx_book_theme")


@dataclass(frozen=True)
class Site(Asked):
    """Build the whole site of a checkout: guides, reference, benchmarks, and the course."""

    lesson: tuple[str, ...] = ()
    """Which lessons are on it, by number (8, or 8.2); default all."""
    out: Path = Path("build/site")
    """Where to write; begin reading at its html/index.html."""
    quick: bool = False
    """Lessons with fewer trials and steps, as in checks."""
    unrun: bool = False
    """Lessons as they are written, without output and figures: a look at everything else."""
    overwrite: bool = False
    """Whether the site may be written among files that --out holds."""


def site(arguments: Site) -> Answer:
    """Build the site; the code is 1 where a lesson failed, or Sphinx warned of something."""
    needed = next((name for name in NEEDED if find_spec(name) is None), None)
    if needed is not None:
        raise ValueError(
            f"the site needs {needed}, which is not installed: pip install -e '.[site]' in a "
            "checkout; the lessons alone, as pages, are built by `jaxopt-course course`"
        )
    from jaxopt_course.site.build import SphinxFailed, build

    try:
        made = build(
            arguments.out,
            arguments.lesson,
            quick=arguments.quick,
            unrun=arguments.unrun,
            overwrite=arguments.overwrite,
            say=say,
        )
    except SphinxFailed as error:
        said = str(error)
        say(*said.splitlines(), error=True)
        return Answer(lambda: {"error": said, "seconds": seconds()}, code=1)
    say(made.page, f"{seconds():.1f} s in all")
    lessons = [{"name": lesson.name, "failure": lesson.failure or None} for lesson in made.lessons]
    document = {"page": made.page, "lessons": lessons, "seconds": seconds()}
    return Answer(lambda: document, code=int(any(one.failure for one in made.lessons)))
