"""Figures of lessons: captions, numbers, phones; which code is folded; tables in Spanish."""

import base64
import io
import itertools
import sys
import types
from html import unescape

import matplotlib.pyplot as plt
import nbformat.v4 as notebooks
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from jaxopt_course.course import figures, name_lines, show_table
from jaxopt_course.course.axes import legible, luminance
from jaxopt_course.course.legends import uncovered
from jaxopt_course.course.lesson import kind_of
from jaxopt_course.course.notebooks import dressed, folded


def test_a_figure_without_a_title_is_told_by_its_axes():
    figure = Figure()
    assert figures.caption(figure, "la_recta") == "La recta"
    figure.subplots().set(ylabel="pérdida", xlabel=r"tasa $\eta$")
    assert figures.caption(figure, "la_recta") == "Pérdida frente a tasa η"
    figure.axes[0].set_title("Una recta")
    assert figures.caption(figure, "la_recta") == "Una recta"


def test_no_figure_is_wider_than_a_page():
    for size, fitted in (((10.5, 4), (8.4, 3.2)), ((7, 4), (7, 4))):
        figure = Figure(figsize=size)
        figures.fitted(figure)
        assert figure.get_size_inches() == pytest.approx(fitted)


def test_every_word_of_a_figure_has_one_size():
    figure = drawn(1, 2)
    left, right = figure.axes
    left.plot([1, 2], label="una")
    left.legend(fontsize=7, title="cuál")
    left.set_title("Un título", fontsize=14)
    right.loglog([1, 1e4], [1, 1e4])
    right.text(0.5, 0.5, "aquí", fontsize=8)
    figure.suptitle("Dos cuadros")
    figures.sized(figure)
    figure.draw_without_rendering()
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
    assert sizes == {figures.LETTERS}
    plt.close(figure)


def test_letters_are_dark_enough_and_greys_stay():
    figure = drawn(1, 1)
    pale = figure.axes[0].text(0, 0, "media", color="#E69F00")
    white = figure.axes[0].text(0, 0, "7", color="white")
    figures.sized(figure)
    assert 1.05 / (luminance(np.array(to_rgb(pale.get_color()))) + 0.05) >= 4.5
    assert white.get_color() == "white"
    plt.close(figure)


def test_names_stand_at_the_ends_of_lines_and_not_on_each_other():
    figure, axes = plt.subplots(figsize=(7, 4))
    for name, end in (("una", 1.0), ("otra", 1.01), ("lejos", 5.0), ("_sin nombre", 3.0)):
        axes.plot([0, 1], [0, end], label=name)
    name_lines(axes)
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert list(boxes) == ["una", "otra", "lejos"]
    assert all(box.x0 > axes.get_window_extent().x1 for box in boxes.values())
    assert boxes["una"].y1 <= boxes["otra"].y0 and boxes["otra"].y1 < boxes["lejos"].y0
    height = axes.transData.transform((1, 5))[1]
    assert abs((boxes["lejos"].y0 + boxes["lejos"].y1) / 2 - height) < 3
    plt.close(figure)


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (90, 600, ["100", "200", "300", "500"]),
        (0.02, 0.4, ["0.02", "0.03", "0.05", "0.1", "0.2", "0.3"]),
        (1.2e-4, 6e-3, ["0.0002", "0.0005", "0.001", "0.002", "0.005"]),
        (1, 1e4, [rf"$\mathdefault{{10^{{{power}}}}}$" for power in range(5)]),
    ],
)
def test_ticks_of_a_short_logarithmic_axis_do_not_collide(low, high, shown):
    figure, axes = plt.subplots(figsize=(3, 3))
    axes.semilogx([low, high], [0, 1])
    axes.set_xlim(low, high)
    legible(axes.xaxis)
    figure.draw_without_rendering()
    texts = [*axes.get_xticklabels(which="both")]
    inside = [text for text in texts if low <= text.get_position()[0] <= high and text.get_text()]
    inside.sort(key=lambda text: text.get_position()[0])
    found = [text.get_text() for text in inside]
    assert found == shown
    plt.close(figure)


def test_numbers_between_powers_of_ten_have_decimal_commas_too():
    figure, axes = plt.subplots(figsize=(3, 3))
    axes.semilogy([0, 1], [2e-4, 5e-3])
    axes.set_ylim(1.2e-4, 6e-3)
    legible(axes.yaxis)
    figures.localised(figure)
    figure.draw_without_rendering()
    texts = [text.get_text() for text in axes.get_yticklabels(which="both")]
    assert {"0,0002", "0,001", "0,005"} <= {*texts} and "." not in "".join(texts)
    plt.close(figure)


def test_epochs_are_whole():
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.plot([1, 2, 3, 4], [0, 0, 0, 1])
    axes.set_xlabel("época")
    legible(axes.xaxis)
    assert all(tick == int(tick) for tick in axes.get_xticks())
    plt.close(figure)


def drawn(rows, columns, **how):
    figure, axes = plt.subplots(rows, columns, figsize=(8.4, 3), layout="constrained", **how)
    for axis in np.ravel(axes):
        axis.plot([0, 1], [0, 1])
    np.ravel(axes)[0].set_ylabel("pérdida")
    return figure


def test_panels_beside_each_other_are_below_each_other_on_a_phone():
    figure = drawn(1, 3, sharey=True)
    assert figures.narrowed(figure)
    width, height = figure.get_size_inches()
    assert width == figures.PHONE and height > 1.5 * width
    places = [axes.get_position() for axes in figure.axes]
    assert all(upper.y0 > lower.y1 for upper, lower in itertools.pairwise(places))
    assert all(place.width > 0.6 for place in places)
    assert [axes.get_ylabel() for axes in figure.axes] == ["pérdida"] * 3
    assert all(axes.yaxis.get_ticklabels()[0].get_visible() for axes in figure.axes)
    assert imread(io.BytesIO(figures.png(figure))).shape[1] == pytest.approx(840, abs=40)
    plt.close(figure)


def crowded(rows=1, columns=1):
    """Curves everywhere, so that no place for a legend is empty."""
    figure, panels = plt.subplots(rows, columns, figsize=(7, 4), layout="constrained")
    for axes in np.ravel(panels):
        for k in range(5):
            axes.plot(np.linspace(0, 1, 50), np.sin(np.linspace(k, 40 + k, 50)), label=f"curva {k}")
        axes.set(xlabel="paso", ylabel="pérdida")
        axes.legend(title="cuál")
    return figure


def of_legends(figure):
    """The boxes of axes and legend, and its words."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        legend = axes.get_legend()
        words = [text.get_text() for text in legend.get_texts()]
        yield axes.get_window_extent(), legend.get_window_extent(), words


@pytest.mark.long
def test_a_legend_that_lies_on_curves_stands_below():
    for figure in (crowded(), crowded(1, 2)):
        figure.draw_without_rendering()
        before = [axes.get_window_extent().height for axes in figure.axes]
        for phone in (False, True):
            assert not phone or figures.narrowed(figure)
            if not phone:
                uncovered(figure)
            for axes, legend, words in of_legends(figure):
                assert legend.y1 < axes.y0 and legend.y0 >= 0
                assert legend.width <= axes.width + 1
                assert words == [f"curva {k}" for k in range(5)]
            if not phone:
                after = [axes.get_window_extent().height for axes in figure.axes]
                assert after == pytest.approx(before, rel=0.1)
        plt.close(figure)


@pytest.mark.parametrize(
    ("what", "moves"),
    [
        (lambda axes: None, False),
        (lambda axes: axes.text(0.5, 0.5, "límite de SGD", ha="center"), True),
        (lambda axes: axes.plot([0, 1], [0, 1]), True),
        (lambda axes: axes.plot([0, np.nan, 1], [0, 0.5, 1]), False),
        (lambda axes: axes.plot([0.5], [0.5], "o"), True),
        (lambda axes: axes.scatter([0.5], [0.5]), True),
        (lambda axes: axes.bar([0.5], [1.0]), True),
        (lambda axes: axes.vlines(0.5, 0, 1), True),
        (lambda axes: axes.legend([axes.plot([], [])[0]], ["de lado"], loc=(0.9, 0.4)), True),
        (lambda axes: axes.axhline(0.5), False),
        (lambda axes: axes.axvspan(0, 1), False),
    ],
)
def test_what_a_legend_may_not_lie_on(what, moves):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot([], [], label="una")
    axes.legend(loc="center")
    what(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    uncovered(figure)
    ((place, legend, _),) = of_legends(figure)
    assert (legend.y1 < place.y0) == moves
    plt.close(figure)


def goes_on(axes):
    axes.plot([0.5, 0.5], [0, 3])


@pytest.mark.parametrize(
    "beyond",
    [
        goes_on,
        lambda axes: axes.scatter([0.5], [1.05]),
        lambda axes: axes.vlines(0.5, 0, 3),
        lambda axes: axes.bar([0.5], [3.0]),
    ],
)
def test_a_legend_above_its_axes_does_not_lie_on_what_the_frame_cuts_off(beyond):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot([], [], label="una")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
    beyond(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    uncovered(figure)
    ((place, legend, _),) = of_legends(figure)
    assert legend.y0 > place.y1
    plt.close(figure)


def test_names_that_leave_no_room_on_a_phone_become_a_legend():
    for name, moves in (("corta", False), ("momentum (100 configuraciones)", True)):
        figure, axes = plt.subplots(figsize=(7, 4))
        axes.plot([0, 1], [0, 1], label=name)
        name_lines(axes)
        assert figures.narrowed(figure)
        assert (axes.get_legend() is not None) == moves and bool(axes.texts) != moves
        if moves:
            ((place, legend, words),) = of_legends(figure)
            assert words == [name] and legend.y1 < place.y0 and place.width > 0.6 * 420
        plt.close(figure)


def test_a_legend_of_the_whole_figure_is_no_wider_than_a_phone():
    figure = drawn(1, 2)
    words = ["lineal", "sigmoide", "tanh", "ReLU", "softplus", "una más larga"]
    for axes in figure.axes:
        for word in words:
            axes.plot([0, 1], [1, 0], label=word)
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="upper center", ncols=6, bbox_to_anchor=(0.5, 0))
    assert figures.narrowed(figure)
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert [text.get_text() for text in legend.get_texts()] == words
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0
    assert box.y1 <= min(axes.get_tightbbox().y0 for axes in figure.axes) + 1
    plt.close(figure)


def test_words_that_collide_on_a_phone_make_a_figure_grow():
    figure = drawn(1, 1)
    for at, word in enumerate(["capa 1, entrada", "capa 2, oculta", "capa 3, oculta"]):
        figure.axes[0].text(0.15 + 0.3 * at, 0.5, word, ha="center")
    assert figures.narrowed(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(left.x1 <= right.x0 + 2 for left, right in itertools.pairwise(boxes))
    assert figures.PHONE < figure.get_figwidth() < 2 * figures.PHONE
    plt.close(figure)


def test_labels_longer_than_a_phone_are_broken():
    figure = drawn(1, 1)
    (axes,) = figure.axes
    long = "exactitud de prueba menos la de Adam (puntos), por parejas de semillas"
    axes.set(xlabel=long, title=f"{long}, y más", ylabel="corta")
    assert figures.narrowed(figure)
    for text in (axes.xaxis.label, axes.title):
        box = text.get_window_extent()
        assert "\n" in text.get_text() and box.x0 >= -1 and box.x1 <= figure.bbox.width + 1
    assert " ".join(axes.get_xlabel().split()) == long and axes.get_ylabel() == "corta"
    plt.close(figure)
    figure = drawn(1, 3, sharey=True)
    figure.axes[0].set_ylabel("entropía cruzada de entrenamiento, y algo más")
    assert figures.narrowed(figure)
    boxes = [axes.yaxis.label.get_window_extent() for axes in figure.axes]
    assert all(upper.y0 > lower.y1 for upper, lower in itertools.pairwise(boxes))
    plt.close(figure)


def test_a_mosaic_and_a_figure_without_room_stay_as_they_are():
    assert not figures.narrowed(drawn(3, 4))
    figure = drawn(1, 1)
    figure.axes[0].set_yticks([0.5], ["un rótulo que no deja sitio para nada más que él mismo"])
    assert not figures.narrowed(figure)
    assert not figures.narrowed(Figure())
    plt.close("all")


def test_a_colour_bar_goes_with_its_panels():
    figure = drawn(1, 2)
    points = figure.axes[1].scatter([0, 1], [0, 1], c=[0, 1])
    figure.colorbar(points, ax=figure.axes[:2])
    assert figures.narrowed(figure)
    first, second, bar = (axes.get_position() for axes in figure.axes)
    assert first.y0 > second.y1 and bar.x0 > max(first.x1, second.x1)
    plt.close(figure)


def test_maps_each_with_a_bar_of_its_own_are_stacked_with_them():
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6))
    for axes in panels:
        figure.colorbar(axes.imshow(np.array([[0.0, 0.5]])), ax=axes, label="cuánto")
    figure.tight_layout()
    assert figures.columns(figure) == 2
    assert figures.narrowed(figure)
    assert figures.columns(figure) == 1
    upper, lower = panels
    assert upper.get_position().y0 > lower.get_position().y1
    bars = [axes for axes in figure.axes if axes not in [*panels]]
    assert [bar.get_ylabel() for bar in bars] == ["cuánto", "cuánto"]
    for axes, bar in zip(panels, bars, strict=True):
        box, beside = axes.get_position(), bar.get_position()
        assert beside.x0 > box.x1 and beside.y1 > box.y0 and box.y1 > beside.y0
    plt.close(figure)


def test_a_mosaic_of_few_columns_keeps_them_and_has_few_ticks():
    figure = drawn(4, 3)
    assert figures.narrowed(figure)
    assert figure.get_figwidth() == figures.MOSAIC_WIDTH
    first, second = (axes.get_position() for axes in figure.axes[:2])
    assert first.x1 < second.x0 and first.y0 == pytest.approx(second.y0)
    low, high = figure.axes[0].get_xlim()
    ticks = figure.axes[0].get_xticks()
    assert sum((ticks >= low) & (ticks <= high)) <= figures.MOSAIC + 1
    plt.close(figure)


def test_figures_are_numbered_by_their_lesson():
    picture = base64.b64encode(b"wide").decode()
    about = {"image/png": {"alt": "¿Quién llega?", "width": 700}}
    wide = notebooks.new_output("display_data", {"image/png": picture}, metadata=about)
    both = {"image/png": picture, figures.NARROW: base64.b64encode(b"narrow").decode()}
    stacked = {"image/png": about["image/png"] | {"stacked": True}}  # left is above there
    narrow = notebooks.new_output("display_data", both, metadata=stacked)
    other = notebooks.new_output("stream", text="nada")
    cells = [notebooks.new_markdown_cell("x"), notebooks.new_code_cell("y", outputs=[other, wide])]
    cells.append(notebooks.new_code_cell("z", outputs=[narrow]))
    kept = {}

    def place(count, ending, picture):
        kept[f"{count}.{ending}"] = picture
        return f"{count}.{ending}"

    made = figures.numbered(notebooks.new_notebook(cells=cells), "13_2_minimos_locales", place)
    first, second = (cell.outputs[-1].data["text/html"] for cell in made.cells[1:])
    assert "<strong>Figura 13.2.1.</strong> ¿Quién llega?</figcaption>" in first
    assert '<img class="figure" src="1.png" alt="¿Quién llega?" width="700"' in first
    assert "<picture>" not in first and "Figura 13.2.2." in second
    assert figures.STACKED in second and figures.STACKED not in first
    assert '<source media="(max-width: 40rem)" srcset="2.narrow.png">' in second
    assert kept == {"1.png": b"wide", "2.png": b"wide", "2.narrow.png": b"narrow"}


@pytest.mark.parametrize(
    ("code", "hidden"),
    [
        ("x = 1\ny = x + 1", False),
        ("def step(w):\n    return w - 1", False),
        ("x = 1\n" * 16, True),
        ('show(fig, "uno")', True),
        ("import jax\n\nBLUE = 1", True),
        ("assert x == 1\nassert y", True),
        ("x = 1\nassert x", False),
        ("errata.judge(1)", True),
        ("%pip install x", False),
    ],
)
def test_what_is_no_matter_of_the_lesson_is_folded(code, hidden):
    cell = notebooks.new_code_cell(code)
    assert folded(cell) is hidden
    cell.metadata["tags"] = ["show-input"]
    assert not folded(cell)
    cell.metadata["tags"] = ["hide-input"]
    assert folded(cell)


def test_sentences_are_wrapped_and_columns_are_not():
    printed = [
        notebooks.new_output("stream", text=text) for text in ("una < frase\n", "a  1\nb 20\n")
    ]
    (cell,) = dressed(
        notebooks.new_notebook(cells=[notebooks.new_code_cell("x = 1", outputs=printed)])
    ).cells
    said, columns = cell.outputs
    assert said.data["text/html"] == '<pre class="said">una &lt; frase</pre>'
    assert columns.text == "a  1\nb 20\n"


def test_long_lines_in_columns_are_wrapped_one_by_one_on_a_phone():
    text = "adam    NumPy y biblioteca difieren en 1e-16\n  w < 0.5  sí; B =   8\n"
    cell = notebooks.new_code_cell("x = 1", outputs=[notebooks.new_output("stream", text=text)])
    (output,) = dressed(notebooks.new_notebook(cells=[cell])).cells[0].outputs
    lines = ['adam<i class="gap">    </i>NumPy y biblioteca difieren en 10⁻¹⁶']
    lines += ['\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}w &lt; 0,5<i class="gap">  </i>sí; B =   8']
    made = "".join(f'<span class="line">{line}</span>' for line in lines)
    assert output.data["text/html"] == f'<pre class="said columns">{made}</pre>'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("queda a 1.16 del óptimo", "queda a 1,16 del óptimo"),
        ("de -0.5 a +2.25 en 7e-16", "de −0,5 a +2,25 en 7·10⁻¹⁶"),
        ("difieren en 0e+00, o en 1e-09", "difieren en 0, o en 10⁻⁹"),
        ("Adam(0.1) y joc.adam(0.1, b1=0.9)", "Adam(0.1) y joc.adam(0.1, b1=0.9)"),
        ("eps=1e-08; [0.1, 0.2]; `0.1`", "eps=1e-08; [0.1, 0.2]; `0.1`"),
        ("(0.5) en la lección 7.3", "(0,5) en la lección 7.3"),
        ("jax 0.10.2, errata E2b", "jax 0.10.2, errata E2b"),
        ("con la tasa de Keras 3.97", "con la tasa de Keras 3,97"),
        ("queda a inf; -inf, info", "queda a ∞; −∞, info"),
        ("a  inf\nb  0.5", "a    ∞\nb  0,5"),
        ("a  0.5\nb  7e-16", "a  0,5\nb  7e-16"),
    ],
)
def test_what_is_printed_has_decimal_commas_on_a_page(text, shown):
    output = notebooks.new_output("stream", text=text)
    cell = notebooks.new_code_cell("print(text)", outputs=[output])
    (output,) = dressed(notebooks.new_notebook(cells=[cell])).cells[0].outputs
    said = output.get("text") or unescape(output.data["text/html"])
    assert said.removeprefix('<pre class="said">').removesuffix("</pre>") == shown


def test_a_table_has_decimal_commas(capsys):
    frame = pd.DataFrame({"pasos": [1000, 20], "pérdida": [0.0125, np.inf]}, ["sgd", "adam"])
    show_table(frame, 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["pasos", "pérdida"],
        ["SGD", "1", "000", "0,013"],  # with a thin space
        ["Adam", "20", "∞"],
    ]


def test_a_cell_that_is_a_sentence_may_be_broken(monkeypatch):
    shown = []
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setattr("IPython.display.display", lambda html: shown.append(html.data))
    for words in ("corta", "una frase que no cabe en una columna de números"):
        show_table(pd.DataFrame({"qué": [words], "cuánto": [1.5]}), index=False)
    assert 'class="wide numbers"' in shown[0] and 'class="wide"' in shown[1]


def test_a_card_says_what_a_bare_number_is():
    frame = pd.DataFrame({"exactitud": ["0,9", "0,8"]})
    assert "counted" in kind_of(frame.set_axis(["1", "2"]).reset_index(names="época")).split()
    steps = pd.DataFrame([["Adam", "0,1", "0,2"]], columns=["paso / η en t =", "1", "2"])
    assert "counted" in kind_of(steps).split()
    for names, index in (("", ["1", "2"]), ("red", ["una", "otra"])):
        assert "counted" not in kind_of(frame.set_axis(index).reset_index(names=names)).split()


def test_a_row_that_a_phone_has_no_room_for_is_a_card():
    row = ["Adam", "0,123 ± 0,045", "0,02", "100"]
    heads = ["optimizador", "sube la validación", "pérdida de entrenamiento", "configuraciones"]
    assert kind_of(pd.DataFrame([row], columns=heads)) == "wide numbers stacked"
    assert (
        kind_of(pd.DataFrame([row], columns=["regla", "sube", "pérdida", "redes"]))
        == "wide numbers"
    )
    broken = ["un nombre de muchas palabras", "0,1"]  # the first column may be broken
    assert kind_of(pd.DataFrame([broken], columns=["regla", "pérdida"])) == "wide numbers"
