"""A bench for errata: one measurement of three things, what is printed, what is right, the truth.

An erratum comes with two formulas, each as it reads and as a function, and with the truth, the
same from elsewhere: an optimizer of the library, ``jax.grad``, a closed form.  A case measures the
three in the same way, so that what is printed cannot fail for want of fair treatment:

    measure(right)   = measure(truth)  to 1e-12
    measure(printed) ≠ measure(truth)  by more than one per cent, or it fails as was foretold

"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_course.course.figures import minus, powers
from jaxopt_course.course.lesson import FIGURES
from jaxopt_course.course.places import named
from jaxopt_course.course.verdicts import markdown
from jaxopt_course.records.files import replace_bytes

SAME, OTHER = 1e-12, 0.01  # differences, relative to the largest number of the truth
HEADS = ("errata", "impreso", "correcto", "se mide", "da lo impreso", "da lo correcto")
Formula = tuple[str, Any]  # as it reads, in Markdown; and what a measurement takes


@dataclass(frozen=True)
class Measure:
    """A measurement that is not the same for all three."""

    of: Callable[[Any], Any]
    printed: Any = None  # another reading of what is printed
    truth: Any = None  # what must come out, where a number says it best


@dataclass(frozen=True)
class Case:
    """What a measurement gave."""

    what: str  # in Spanish
    printed: Any  # numbers, or the exception that the printed formula raised
    right: Any
    apart: float  # from what is printed to the truth; inf where no numbers can be compared


@dataclass(frozen=True)
class Erratum:
    """A formula of the notes that fails, the right one, and the cases that show it."""

    number: str
    where: str  # in the notes, as a reader finds it
    title: str
    quote: str  # as it is printed there
    printed: str
    right: str
    cases: tuple[Case, ...]


class Errata:
    """The errata of a lesson, judged one by one in their order."""

    def __init__(self) -> None:
        self.found: list[Erratum] = []

    def __getitem__(self, number: str) -> Erratum:
        """The erratum of this number."""
        return next(one for one in self.found if one.number == number)

    def judge(
        self,
        number: str,
        where: str,
        title: str,
        *,
        quote: str,
        printed: Formula,
        right: Formula,
        truth: Any = None,
        cases: Mapping[str, Callable[[Any], Any] | Measure],
        fails: tuple[type[Exception], ...] = (),
    ) -> None:
        """Measure every case, judge it, say what came out, and keep it for the table.

        Args:
            number: as in the list of errata: E1, E2b.
            where: in the notes, as note:line; several with words between.
            title: what is wrong, in a few words.
            quote: the line as it is printed, in Markdown.
            printed: the formula of the notes, and what it computes.
            right: as it should be.
            truth: the same from another source.
            cases: words to measurement.
            fails: what the printed formula may raise; any other error is the lesson's own.

        Raises:
            AssertionError: the right formula is not the truth, or what is printed is.
            ValueError: a number comes twice.
        """
        if number in {other.number for other in self.found}:
            raise ValueError(f"{number} was judged before; give this erratum its own number")
        judged = []
        for what, measure in cases.items():
            how = measure if isinstance(measure, Measure) else Measure(measure)
            given = attempt(how, printed[1] if how.printed is None else how.printed, fails)
            corrected = how.of(right[1])
            known = how.of(truth) if how.truth is None else how.truth
            assert distance(corrected, known) <= SAME, (number, what, corrected, known)
            apart = distance(given, known)
            assert apart > OTHER, (number, what, given, known)
            judged.append(Case(what, given, corrected, apart))
        places = named(", ".join(re.findall(r"\d{3}:\d+", where)))
        self.found.append(
            Erratum(number, places, title, quote, printed[0], right[0], tuple(judged))
        )
        markdown("\n".join(told(number, case) for case in judged))

    def table(self, only: Erratum | None = None) -> str:
        """A row a case, in Markdown; of one erratum or of all."""
        rows: list[Iterable[str]] = [HEADS, ["---"] * len(HEADS)]
        for one in self.found if only is None else [only]:
            first = f"**{one.number}** {one.title}. En los {one.where}: «{one.quote}»"
            shared = [first, one.printed, one.right]
            for case in one.cases:
                rows.append([*shared, case.what, shown(case.printed), shown(case.right)])
                shared = [""] * len(shared)
        return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"

    def cards(self) -> str:
        """The tables of all in HTML; a phone shows their titles, and each opens."""
        from jaxopt_course.course.formulas import html

        page = ""
        for one in self.found:
            title = html(f"**{one.number}** {one.title}").strip().removeprefix("<p>")
            title = title.removesuffix("</p>")
            page += f'<details class="folds"><summary>{title}</summary>{html(self.table(one))}'
            page += "</details>"
        return page

    def show(self) -> None:
        """Show the table in a notebook; in a script save it and say where."""
        cases = sum(len(one.cases) for one in self.found)
        print(f"{len(self.found)} erratas, {cases} casos")
        if "ipykernel" in sys.modules:
            from IPython.display import HTML, display

            display(HTML(self.cards()))
            return
        file = FIGURES / Path(sys.argv[0]).stem / "erratas.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, self.table().encode())
        print(file)

    def chart(self) -> Any:
        """A figure of how wrong each is, in the worst of its cases."""
        import matplotlib.pyplot as plt

        worst = np.array([max(case.apart for case in one.cases) for one in self.found])
        runs = np.isfinite(worst)
        low, edge = worst[runs].min() / 2, 10 * worst[runs].max()
        rows = np.arange(len(worst))
        figure, ax = plt.subplots(figsize=(7, 1.1 + 0.45 * len(rows)), layout="constrained")
        ax.plot(worst[runs], rows[runs], "o", color="#0072B2", ms=8, label="da otro número")
        if not runs.all():
            out = rows[~runs]
            ax.plot(
                np.full(len(out), edge), out, "X", color="#D55E00", ms=10, label="no se ejecuta"
            )
            figure.legend(loc="outside upper center", ncols=2, frameon=False)
        for row, one in zip(rows, self.found, strict=True):
            ax.text(0.01, row - 0.42, one.title, transform=ax.get_yaxis_transform(), va="center")
        ax.set(xscale="log", xlabel="error relativo de lo impreso")
        ax.set(xlim=(low, 2 * edge if not runs.all() else 2 * worst.max()))
        ax.set(ylim=(len(rows) - 0.5, -0.8))
        wide = np.log10(ax.get_xlim()[1] / low)
        ticks = [k * 10.0**n for n in range(-3, 16) for k in ((1, 3) if wide < 3 else (1,))]
        ticks = [tick for tick in ticks if low <= tick <= ax.get_xlim()[1]]
        ax.set_xticks(ticks[:: 1 + len(ticks) // 8], minor=False)
        ax.set_xticklabels([shown(tick) if tick < 1e4 else power(tick) for tick in ax.get_xticks()])
        ax.set_xticks([], minor=True)
        ax.set_yticks(rows, [one.number for one in self.found])
        ax.grid(axis="y", color="#DDDDDD")
        ax.set_axisbelow(True)
        return figure


def told(number: str, case: Case) -> str:
    """What a case gave, as a line of a list."""
    return (
        f"- **{number}**, {case.what}. Lo impreso: {shown(case.printed)}. "
        f"Lo correcto: {shown(case.right)}."
    )


def power(x: float) -> str:
    """A power of ten."""
    return f"$10^{{{np.log10(x):.0f}}}$"


def attempt(how: Measure, formula: Any, fails: tuple[type[Exception], ...]) -> Any:
    """What the measurement of a formula gives, or the foretold exception."""
    try:
        return how.of(formula)
    except fails as error:
        return error


def distance(a: Any, b: Any) -> float:
    """The largest difference, relative to the largest number of b where that is not 0."""
    if isinstance(a, Exception) or np.shape(a) != np.shape(b):
        return np.inf
    size, apart = np.max(np.abs(b)), np.max(np.abs(np.subtract(a, b)))
    return float(apart / (size if size > SAME else 1.0))


def shown(x: Any) -> str:
    """Numbers in four digits, as Spanish writes them; an exception by its name.

    >>> shown([0.5, -6.148e-05]), shown(KeyError("W"))
    ('0,5; −6,148·10⁻⁵', 'no se ejecuta: KeyError')
    """
    if isinstance(x, Exception):
        return f"no se ejecuta: {type(x).__name__}"
    tidy = (f"{0.0 if abs(v) < SAME else v:.4g}" for v in np.ravel(x))
    return "; ".join(powers(minus(text.replace(".", ","))) for text in tidy)
