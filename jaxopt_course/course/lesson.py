"""What every lesson needs: a quick mode for checks, a place for its figures, tables to look at."""

import base64
import os
import re
import sys
from pathlib import Path
from typing import Any

from jaxopt_course.course.axes import legible
from jaxopt_course.course.figures import (
    NARROW,
    caption,
    columns,
    commas,
    fitted,
    localised,
    narrowed,
    png,
    proper,
    sized,
)
from jaxopt_course.course.legends import uncovered

QUICK = "JAXOPT_COURSE_QUICK"  # set in the environment: lessons take seconds, not minutes
FIGURES = Path("runs") / "course"
WORDY = 32  # letters of a cell that is a sentence
ON_A_PHONE, ON_A_PAGE = 42, 86  # letters of a row
CARDS = 6  # of a table on a phone; more are folded
BESIDE = (1.2, 1.7)  # what is free beside a cell, there and there
MADE_BY_PAGES = {"jaxopt_course": "caption"}  # of an output that a page leaves out


def quick() -> bool:
    """Whether a lesson should be short, as in tests: fewer trials and steps, the same claims."""
    return os.environ.get(QUICK, "0") != "0"


def show(figure: Any, name: str, words: str = "") -> None:
    """Show a Matplotlib figure in a notebook; in a script save it and say where.

    Args:
        figure: closed afterwards.
        name: of the file, without its ending: ``runs/course/<lesson>/<name>.png``.
        words: its caption, in plain text; by default its titles.
    """
    import matplotlib.pyplot as plt

    fitted(figure)
    for axes in figure.axes:
        legible(axes.xaxis)
        legible(axes.yaxis)
    sized(figure)
    localised(figure)
    uncovered(figure)
    if "ipykernel" in sys.modules:
        from IPython.display import Image, Markdown, display

        words = words or caption(figure, name)
        bundle, about = Image(png(figure), retina=True, alt=words)._repr_mimebundle_()
        abreast = columns(figure)
        if narrowed(figure):
            bundle[NARROW] = base64.b64encode(png(figure)).decode()
            about["image/png"]["stacked"] = columns(figure) < abreast
        display(bundle, raw=True, metadata=about)
        display(Markdown(f"*{words}*"), metadata=MADE_BY_PAGES)
    else:
        folder = FIGURES / Path(sys.argv[0]).stem
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=120, bbox_inches="tight")
        print(folder / f"{name}.png")
    plt.close(figure)


def show_table(frame: Any, digits: int = 3, *, index: bool = True) -> None:
    """Show a DataFrame as a table in a notebook, print it in a script; decimal commas in both.

    Args:
        frame: its heads and the name of its index in Spanish; names of optimizers are made proper.
        digits: significant ones of every number that is no whole one.
        index: whether its index is a column.
    """
    shown = frame.rename_axis(columns=None)
    if index:
        shown = shown.reset_index(names=[name or "" for name in frame.index.names])
    shown = shown.map(lambda cell: spelt(cell, digits)).set_axis(
        [spelt(head, digits) for head in shown.columns], axis=1
    )
    if "ipykernel" in sys.modules:
        from IPython.display import HTML, display

        from jaxopt_course.course.formulas import boxed

        kind = kind_of(shown)
        page = boxed(shown.to_html(index=False, border=0), kind)
        if "stacked" in kind and len(shown) > CARDS:  # many screens of a phone
            words = f"Ver la tabla ({len(shown)} filas)"
            page = f'<details class="folds"><summary>{words}</summary>{page}</details>'
        display(HTML(page))
    else:
        print(shown.to_string(index=False))


def kind_of(shown: Any) -> str:
    """The classes of a table: of sentences or of numbers; of these, what its page needs to know.

    The cells of numbers are broken only in the first column of a phone, and in a table that is
    ``broad`` for a page; the rows of one that is ``stacked`` are cards on a phone, which say what
    their first cell is where that is ``counted``: it, or the head of another, is a bare number.

    Args:
        shown: a DataFrame of text.
    """
    cells = shown.to_numpy(str)
    if max(map(len, cells.ravel()), default=0) > WORDY:
        return "wide"
    phone = page = 0.0  # letters of a row
    for at, (head, column) in enumerate(zip(shown.columns, cells.T, strict=True)):
        words = " ".join(column).split() if at == 0 else [*column]
        phone += max(map(len, [*head.split(), *words])) + BESIDE[0]
        page += max(map(len, [*head.split(), *column])) + BESIDE[1]
    bare = lambda words: [bool(re.match(r"[−\d]", word)) for word in words]
    named = bool(shown.columns[0])
    counted = named and (all(bare(cells[:, 0])) or any(bare(shown.columns[1:])))
    marks = {"stacked": phone > ON_A_PHONE, "broad": page > ON_A_PAGE, "counted": counted}
    return " ".join(["wide numbers", *(mark for mark, so in marks.items() if so)])


def spelt(cell: Any, digits: int) -> str:
    r"""A cell of a table in Spanish.

    >>> spelt(0.012345, 3), spelt(1234.5, 3), spelt(12, 3), spelt(True, 3), spelt(float("inf"), 3)
    ('0,0123', '1\u202f234', '12', 'sí', '∞')
    >>> spelt(-2.5e-7, 2), spelt(float("nan"), 2), spelt("sgd", 2)
    ('−2,5·10⁻⁷', '–', 'SGD')
    """
    import numpy as np

    from jaxopt_course.course.claims import spanish

    if isinstance(cell, bool | np.bool_):
        return "sí" if cell else "no"
    if not isinstance(cell, int | float | np.number):
        text = str(cell)
        return text if re.search(r"\w\(", text) else proper(commas(text))  # a call is code
    if np.isnan(cell):
        return "–"
    if np.isinf(cell):
        return "∞" if cell > 0 else "−∞"
    if float(cell).is_integer() or abs(cell) >= 10**digits:
        return spanish(f"{cell:,.0f}")
    return spanish(f"{cell:.{digits}g}")
