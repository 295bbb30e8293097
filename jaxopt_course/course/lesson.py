"""What every lesson needs: a quick mode for checks, and a place for its figures."""

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

QUICK = "JAXOPT_COURSE_QUICK"  # set in the environment: lessons take seconds, not minutes
FIGURES = Path("runs") / "course"


def quick() -> bool:
    """Whether a lesson should be short, as in tests: fewer trials and steps, the same claims."""
    return os.environ.get(QUICK, "0") != "0"


def show(figure: Any, name: str) -> None:
    """Show a Matplotlib figure in a notebook; in a script save it and say where.

    Args:
        figure: closed afterwards.
        name: of the file, without its ending: ``runs/course/<lesson>/<name>.png``.
    """
    import matplotlib.pyplot as plt

    if "ipykernel" in sys.modules:
        from IPython.display import Image, display

        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=200, bbox_inches="tight")
        display(Image(picture.getvalue(), retina=True, alt=caption(figure, name)))
    else:
        folder = FIGURES / Path(sys.argv[0]).stem
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=120, bbox_inches="tight")
        print(folder / f"{name}.png")
    plt.close(figure)


def caption(figure: Any, name: str) -> str:
    """What a figure shows, in the words on it, for those who cannot see it.

    Its titles; where it has none, what is drawn against what; else its name.
    """
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    words = [plain(title) for title in titles if title.strip()]
    if not words:
        labels = [(plain(axes.get_ylabel()), plain(axes.get_xlabel())) for axes in figure.axes]
        words = [f"{up} frente a {across}" for up, across in labels if up and across]
    return ". ".join(dict.fromkeys(words)) or name.replace("_", " ")


def plain(text: str) -> str:
    r"""Text of a figure without line breaks and the marks of formulas.

    >>> plain("$\\eta L = 1$, por\npasos")
    'eta L = 1, por pasos'
    """
    return " ".join(re.sub(r"[$\\{}]", "", text).split())
