"""Figures of lessons: as wide as a page and as narrow as a phone, numbered, with their captions.

A lesson shows a figure (:func:`jaxopt_course.course.show`); its page numbers it, "Figura 13.1.2.",
by the lesson and the figures before it, so that no lesson counts.
"""

import base64
import functools
import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from jaxopt_course.course.axes import collide, ink, is_coloured, wrapped
from jaxopt_course.course.legends import folded, uncovered, unnamed
from jaxopt_course.course.lessons import number_of

NARROW = "application/vnd.jaxopt_course.narrow+png"  # in an output, beside its image/png
PAGE, PHONE = 8.4, 4.2  # inches: wider is scaled down there, and letters with it
LETTERS = 10  # points, of every word and number
WIDE_ENOUGH = 0.55  # of a phone, axes beside the names of their lines
STEPS = 5  # of 15 %, that a figure grows
PANELS = 6  # that are stacked at most; more are a mosaic
MOSAIC = 3  # columns of a mosaic that a phone has room for, with as many ticks an axis
MOSAIC_WIDTH = 1.3 * PHONE  # inches: smaller letters, so that the panels are no stamps
PROPER = {  # optimizers as people write them; momentum is a word
    "sgd": "SGD",
    "ema_momentum": "momentum (media)",
    "nesterov": "Nesterov",
    "adagrad": "Adagrad",
    "rmsprop": "RMSProp",
    "adadelta": "Adadelta",
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "amsgrad": "AMSGrad",
    "muon": "Muon",
    "schedule_free_adamw": "Schedule-Free AdamW",
    "adamw+ema": "AdamW con EMA",
}
NAMES = re.compile(
    rf"(?<![\w.`])({'|'.join(map(re.escape, sorted(PROPER, reverse=True)))})(?![\w.(+`])"
)
PHONES = "(max-width: 40rem)"
STACKED = "En esta pantalla, lo de la izquierda está arriba y lo de la derecha, abajo."
GREEK = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "eta": "η"},
    **{"theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ"},
}
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
POWER = re.compile(r"(?<![\w.,])([-−]?)(\d(?:,\d+)?)e([+-]?\d+)\b")
HYPHEN = re.compile(r"(?<![\w)\]−-])(?<!\w\[)-(?=\d|∞)")  # before a number, and no range or index


def caption(figure: Any, name: str) -> str:
    """What a figure shows, in the words on it, for those who cannot see it.

    Its titles; where it has none, what is drawn against what; else its name.
    """
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    words = [plain(title) for title in titles if title.strip()]
    if not words:
        labels = [(plain(axes.get_ylabel()), plain(axes.get_xlabel())) for axes in figure.axes]
        words = [f"{up} frente a {across}" for up, across in labels if up and across]
    sentences = [re.sub(r"^[a-záéíóúñ](?=\w)", lambda a: a[0].upper(), one) for one in words]
    return ". ".join(dict.fromkeys(sentences)) or name.replace("_", " ").capitalize()


def plain(text: str) -> str:
    r"""Text of a figure without line breaks and the marks of formulas.

    >>> plain("$\\eta L = 1$, por\npasos")
    'η L = 1, por pasos'
    """
    greek = re.sub(rf"\\({'|'.join(GREEK)})(?![a-z])", lambda name: GREEK[name[1]], text)
    return " ".join(re.sub(r"[$\\{}]", "", greek).split())


def png(figure: Any) -> bytes:
    """A figure at 200 pixels an inch."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=200, bbox_inches="tight")
    return picture.getvalue()


def fitted(figure: Any) -> None:
    """Make a figure no wider than a page, its letters as large as those of the others."""
    width, height = figure.get_size_inches()
    if width > PAGE:
        figure.set_size_inches(PAGE, height * PAGE / width)


def sized(figure: Any) -> None:
    """Give every word and number of a figure the one size of all figures, and colours to be read.

    Lessons choose no size: what fits in one figure and not in another is a matter of its layout.
    """
    from matplotlib.text import Text

    for axes in figure.axes:
        axes.tick_params(which="both", labelsize=LETTERS)  # those that are made when it is drawn
    for text in figure.findobj(Text):
        text.set_fontsize(LETTERS)
        if is_coloured(text.get_color()):
            text.set_color(ink(text.get_color()))


def localised(figure: Any) -> None:
    """Write numbers on a figure with decimal commas, and optimizers by their proper names."""
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    class Comma(ScalarFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return commas(super().__call__(x, pos))

    def worded(given: Any, x: float, pos: int | None) -> str:
        return proper(commas(str(given(x, pos))))

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            given = axis.get_major_formatter()
            if type(given) is ScalarFormatter:
                spanish = Comma()
                vars(spanish).update(vars(given))
                axis.set_major_formatter(spanish)
            elif isinstance(given, FuncFormatter):  # labels that were set are one, too
                axis.set_major_formatter(FuncFormatter(functools.partial(worded, given)))
            if isinstance(between := axis.get_minor_formatter(), FuncFormatter):
                axis.set_minor_formatter(FuncFormatter(functools.partial(worded, between)))
    for text in figure.findobj(Text):
        text.set_text(proper(powers(commas(text.get_text()))))


def commas(text: str) -> str:
    r"""Decimal commas, in formulas too, and the minus of figures.

    >>> commas("-0.5 y $0.25$, lección 12.1.2")
    '−0,5 y $0{,}25$, lección 12.1.2'
    """
    parts = re.split(r"(\$[^$]*\$)", text)
    number = r"(?<![\d.,])(\d+)\.(?=\d+(?!\d|\.\d))"
    return "".join(
        re.sub(number, r"\1{,}", part) if part[:1] == "$" else minus(re.sub(number, r"\1,", part))
        for part in parts
    )


def minus(text: str) -> str:
    """The sign of negative numbers, as Matplotlib and formulas have it, in place of Python's.

    >>> minus("de -1 a (-0,5; -∞), 3-4-2, x[-1], 1e-8")
    'de −1 a (−0,5; −∞), 3-4-2, x[-1], 1e-8'
    """
    return HYPHEN.sub("−", text)


def powers(text: str, number: re.Pattern[str] = POWER) -> str:
    """Powers of ten as people write them, in place of Python's; near 1, whole numbers.

    >>> powers("ε = 1e-8, 2,5e+03, 1,4e+01, 0e+00")
    'ε = 10⁻⁸, 2,5·10³, 14, 0'
    """

    def power(found: re.Match[str]) -> str:
        sign, digits, exponent = found.groups()
        value = float(digits.replace(",", "."))
        if 0 <= int(exponent) <= 2 and value:  # as exact as it was
            short = max(0, len(digits) - 2 - int(exponent))
            return f"{sign}{value * 10 ** int(exponent):.{short}f}".replace(".", ",")
        ten = f"10{str(int(exponent)).translate(POWERS)}"
        return "0" if value == 0 else f"{sign}{ten if value == 1 else f'{digits}·{ten}'}"

    return number.sub(power, text)


def proper(text: str) -> str:
    """Names of optimizers as people write them.

    >>> proper("sgd con ruido, adamw+ema, joc.adam(0.1)")
    'SGD con ruido, AdamW con EMA, joc.adam(0.1)'
    """
    return NAMES.sub(lambda name: PROPER[name[0]], text)


def narrowed(figure: Any) -> bool:
    """Lay a figure out anew for a phone, its panels one below the other; whether it can be.

    A mosaic of many panels keeps its columns; one of many columns, and a figure whose labels would
    leave no room for the data, cannot be.
    """
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    bars = unbarred(figure)
    panels = [axes for axes in figure.axes if axes.get_subplotspec() is not None]
    specs = dict.fromkeys(axes.get_subplotspec() for axes in panels)
    grids = {spec.get_gridspec() for spec in specs}
    if len(grids) != 1:
        return False
    grid = grids.pop()
    mosaic = len(specs) > PANELS
    if isinstance(grid, GridSpecFromSubplotSpec) or (mosaic and grid.ncols > MOSAIC):
        return False
    ratios = grid.get_height_ratios() or [1] * grid.nrows
    tall: list[Any] = [sum(ratios[row] for row in spec.rowspan) / sum(ratios) for spec in specs]
    width, height = figure.get_size_inches()
    if mosaic:
        sparse(panels, MOSAIC_WIDTH / width)
        tall = [MOSAIC_WIDTH / width]  # each panel as broad for its height as it was
    elif grid.ncols > 1:
        new = figure.add_gridspec(len(specs), 1, height_ratios=tall)
        for axes in panels:
            beside = [other for other in panels if axes.get_shared_y_axes().joined(axes, other)]
            labels = [other.get_ylabel() for other in beside if other.get_ylabel()]
            axes.set_ylabel(axes.get_ylabel() or next(iter(labels), ""))
            axes.tick_params(labelleft=True, labelbottom=True)
        for row, spec in enumerate(specs):
            for axes in panels:
                if axes.get_subplotspec() is spec:
                    axes.set_subplotspec(new[row, 0])
    shrunk = 1.0 if mosaic else min(1.0, max(0.75, grid.ncols * PHONE / width))
    figure.set_size_inches(MOSAIC_WIDTH if mosaic else PHONE, sum(tall) * height * shrunk)
    figure.set_layout_engine("constrained")
    for image, axes, label in bars:
        figure.colorbar(image, ax=axes, label=label)
    if bars:
        sized(figure)
        localised(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "constrained_layout not applied")
        try:
            enlarged(figure)
            folded(figure)
            wrapped(figure)
            unnamed(figure, WIDE_ENOUGH)
            uncovered(figure)
            figure.draw_without_rendering()
        except UserWarning:
            return False
    abreast = grid.ncols if mosaic else 1
    return all(axes.get_position().width > 0.4 / abreast for axes in panels)


def columns(figure: Any) -> int:
    """How many panels lie side by side, at most."""
    specs = [axes.get_subplotspec() for axes in figure.axes]
    return max((spec.get_gridspec().ncols for spec in specs if spec is not None), default=1)


def unbarred(figure: Any) -> list[tuple[Any, Any, str]]:
    """Take away colour bars that share a cell with their panel; of each its image, panel, label."""
    bars = []
    for axes in [*figure.axes]:
        for image in (*axes.images, *axes.collections):
            bar = image.colorbar
            if bar is not None and bar.ax.get_subplotspec() is not None:
                bars.append((image, axes, bar.ax.get_ylabel()))
                bar.remove()  # the panel has its whole cell again
    return bars


def sparse(panels: list[Any], share: float) -> None:
    """Leave axes of small panels few ticks, and marks that do not hide what is between them.

    Args:
        panels: the axes.
        share: of the width that they were drawn for.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.ticker import AutoLocator, MaxNLocator

    for axes in panels:
        for axis in (axes.xaxis, axes.yaxis):
            if type(axis.get_major_locator()) is AutoLocator:
                axis.set_major_locator(MaxNLocator(MOSAIC))
        for line in axes.get_lines():
            line.set_markersize(share * line.get_markersize())
        for points in axes.collections:
            if isinstance(points, PathCollection):
                points.set_sizes(share**2 * points.get_sizes())


def enlarged(figure: Any) -> None:
    """Let a figure whose words collide grow, step by step: a phone shows it smaller."""
    for _ in range(STEPS):
        figure.draw_without_rendering()
        if not collide(figure):
            return
        figure.set_size_inches(1.15 * figure.get_size_inches())


def numbered(notebook: Any, lesson: str, place: Callable[[int, str, bytes], str]) -> Any:
    """A notebook whose pictures are HTML figures with numbers and captions.

    Args:
        notebook: that has run; it is changed.
        lesson: its name, as 13_1_velocidad_y_escala.
        place: where a picture is to be found: its number in the lesson, an ending, its bytes.
    """
    number = ".".join(map(str, number_of(lesson)))
    count = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            kind = next((kind for kind in ("image/png", "image/gif") if kind in data), None)
            if kind is None:
                continue
            count += 1
            wide = base64.b64decode(data.pop(kind))
            source = place(count, kind.removeprefix("image/"), wide)
            narrow = data.pop(NARROW, None)
            phone = place(count, "narrow.png", base64.b64decode(narrow)) if narrow else None
            about = output.metadata.pop(kind, {})
            data.pop("text/plain", None)
            data["text/html"] = html(f"{number}.{count}", source, phone, about)
    return notebook


def html(number: str, source: str, phone: str | None, about: Any) -> str:
    """A figure of a page, with the words and the size that IPython gave it."""
    size = "".join(f' {side}="{about[side]}"' for side in ("width", "height") if side in about)
    words = escape(str(about.get("alt", "")))
    picture = f'<img class="figure" src="{source}" alt="{words}"{size} loading="lazy">'
    if phone:
        other = f'<source media="{PHONES}" srcset="{phone}">'
        picture = f"<picture>{other}{picture}</picture>"
    stop = "" if words.endswith((".", "?", "!")) else "."
    told = f" {words}{stop}" if words else ""
    if about.get("stacked"):  # the text speaks of left and right
        told += f' <span class="on-a-phone">{STACKED}</span>'
    name = f"figura-{number.replace('.', '-')}"
    return (
        f'<figure id="{name}">{picture}'
        f"<figcaption><strong>Figura {number}.</strong>{told}</figcaption></figure>"
    )


def embedded(count: int, ending: str, picture: bytes) -> str:
    """A picture within its page."""
    kind = ending.rpartition(".")[2]
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
