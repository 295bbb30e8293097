"""Figures of lessons: captions, numbers, phones; which code is folded; tables in Spanish."""

import base64
import io
import itertools

import matplotlib.pyplot as plt
import nbformat.v4 as notebooks
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from jaxopt_course.course import figures, show_table
from jaxopt_course.course.notebooks import dressed, folded


def test_a_figure_without_a_title_is_told_by_its_axes():
    figure = Figure()
    assert figures.caption(figure, "la_recta") == "la recta"
    figure.subplots().set(ylabel="pérdida", xlabel=r"tasa $\eta$")
    assert figures.caption(figure, "la_recta") == "pérdida frente a tasa eta"
    figure.axes[0].set_title("Una recta")
    assert figures.caption(figure, "la_recta") == "Una recta"


def test_no_figure_is_wider_than_a_page():
    for size, fitted in (((10.5, 4), (8.4, 3.2)), ((7, 4), (7, 4))):
        figure = Figure(figsize=size)
        figures.fitted(figure)
        assert figure.get_size_inches() == pytest.approx(fitted)


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


def test_figures_are_numbered_by_their_lesson():
    picture = base64.b64encode(b"wide").decode()
    about = {"image/png": {"alt": "¿Quién llega?", "width": 700}}
    wide = notebooks.new_output("display_data", {"image/png": picture}, metadata=about)
    both = {"image/png": picture, figures.NARROW: base64.b64encode(b"narrow").decode()}
    narrow = notebooks.new_output("display_data", both, metadata=about)
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


def test_a_table_has_decimal_commas(capsys):
    frame = pd.DataFrame({"pasos": [1000, 20], "pérdida": [0.0125, np.inf]}, ["sgd", "adam"])
    show_table(frame, 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["pasos", "pérdida"],
        ["SGD", "1", "000", "0,013"],  # with a thin space
        ["Adam", "20", "∞"],
    ]
