"""Legends of lessons: none lies on a curve or a word; where there is no room it stands below."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxopt_course.course.axes import NAMED

IN_A_ROW = 4  # names below axes, where there is room
TOUCH = 2.0  # pixels of a legend's edge that may lie on something


def uncovered(figure: Any, letters: float = 10.0) -> None:
    """Move legends that lie on what is drawn, or across an edge, below their axes.

    Matplotlib looks for the emptiest place, which on small axes is not an empty one.  The figure
    grows by the height of what is moved, so that its axes keep theirs.

    Args:
        figure: laid out as it shall be.
        letters: their size in points.
    """
    figure.draw_without_rendering()
    grown: dict[int, float] = {}  # inches by row of panels
    for axes in figure.axes:
        legend, spec = axes.get_legend(), axes.get_subplotspec()
        if legend is None or spec is None:
            continue
        laid_out = figure.get_layout_engine() is not None
        if not laid_out and spec.rowspan.stop < spec.get_gridspec().nrows:
            continue  # nothing would make room above the panels below
        box = legend.get_window_extent().padded(-TOUCH)
        room = figure.bbox.width if box.overlaps(axes.bbox) else axes.bbox.width
        edge = box.overlaps(axes.bbox) and (box.x0 < axes.bbox.x0 or box.x1 > axes.bbox.x1)
        if edge or box.width > room or any(box.overlaps(part) for part in drawn(axes, box)):
            height = below(axes, letters).get_window_extent().height / figure.dpi
            row = spec.rowspan.start
            grown[row] = max(grown.get(row, 0.0), height if laid_out else 0.0)
    if grown:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + sum(grown.values()))
        figure.draw_without_rendering()


def folded(figure: Any, letters: float = 10.0) -> None:
    """Give a legend of the whole figure that is wider than it as many columns as fit, below.

    Args:
        figure: laid out as it shall be, by an engine that makes room.
        letters: their size in points.
    """
    figure.draw_without_rendering()
    for old in [*figure.legends]:
        if old.get_window_extent().width <= figure.bbox.width:
            continue
        handles, words = old.legend_handles, [text.get_text() for text in old.get_texts()]
        old.remove()
        for columns in range(min(len(words), IN_A_ROW), 0, -1):
            legend = figure.legend(
                handles,
                words,
                loc="outside lower center",
                ncols=columns,
                frameon=False,
                fontsize=letters,
            )
            box = legend.get_window_extent()
            if box.width <= figure.bbox.width or columns == 1:
                break
            legend.remove()
        grown = figure.get_figheight() + box.height / figure.dpi
        figure.set_size_inches(figure.get_figwidth(), grown)
        figure.draw_without_rendering()


def unnamed(figure: Any, least: float) -> None:
    """Put the names of lines that leave their axes too little room into a legend below.

    Args:
        figure: laid out as it shall be.
        least: of the figure's width, what axes must have.
    """
    for axes in figure.axes:
        names = [text for text in axes.texts if text.get_gid() == NAMED]
        if not names or axes.get_position().width >= least:
            continue
        lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        axes.legend(lines, [name.get_text() for name in names])
        for name in names:
            name.remove()
        figure.draw_without_rendering()
        height = below(axes).get_window_extent().height / figure.dpi
        figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + height)


def drawn(axes: Any, box: Any) -> Iterator[Any]:
    """The boxes of what is drawn on axes; of lines, ``box`` itself where one runs through it.

    Lines and bands across all of the axes, and areas of one colour, may lie behind a legend.  What
    the frame cuts off is not drawn: a legend beyond it does not lie on a line that goes on there.
    """
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import Bbox

    inside = Bbox.intersection(box, axes.bbox)
    part_of = lambda artist: inside if artist.get_clip_on() else box
    for line in axes.get_lines():
        if line.get_visible() and line.get_transform() is axes.transData:
            points = axes.transData.transform(line.get_xydata())
            joined = line.get_linestyle() not in ("None", "none", "", " ")
            if runs_through(points, part_of(line), joined=joined):
                yield box
    for many in axes.collections:
        if isinstance(many, PathCollection):
            points = many.get_offset_transform().transform(many.get_offsets())
            if runs_through(np.asarray(points), part_of(many), joined=False):
                yield box
        elif isinstance(many, LineCollection):
            for part in many.get_segments():
                if runs_through(many.get_transform().transform(part), part_of(many)):
                    yield box
    for patch in axes.patches:
        if isinstance(patch, Rectangle) and patch.get_data_transform() is axes.transData:
            extent = Bbox(patch.get_window_extent().get_points())
            shown = Bbox.intersection(extent, axes.bbox) if patch.get_clip_on() else extent
            if shown is not None:
                yield shown
    for text in axes.texts:
        if text.get_visible() and text.get_text().strip():
            yield text.get_window_extent()


def runs_through(points: np.ndarray, box: Any, *, joined: bool = True) -> bool:
    """Whether a point lies in a box, or the line from one to the next passes through it.

    Args:
        points: (n, 2); where one is not finite the line is broken.
        box: Matplotlib's; in none nothing lies.
        joined: whether there is a line.
    """
    from matplotlib.path import Path

    if box is None:
        return False
    whole = np.isfinite(points).all(axis=1)
    if not joined:
        return bool(box.count_contains(points[whole]))
    runs = np.split(points, np.flatnonzero(~whole))
    parts = [run[np.isfinite(run).all(axis=1)] for run in runs]
    return any(len(part) > 1 and Path(part).intersects_bbox(box, filled=False) for part in parts)


def below(axes: Any, letters: float = 10.0) -> Any:
    """The legend of axes anew, under their ticks and label, in as many columns as fit.

    Args:
        axes: that have a legend.
        letters: their size in points.
    """
    from matplotlib.transforms import ScaledTranslation

    old, figure = axes.get_legend(), axes.get_figure()
    handles, words = old.legend_handles, [text.get_text() for text in old.get_texts()]
    labels = axes.xaxis.get_tightbbox()
    under = axes.bbox.y0 - labels.y0 if labels else 0.0
    down = ScaledTranslation(0, -under / figure.dpi, figure.dpi_scale_trans)
    for columns in range(min(len(words), IN_A_ROW), 0, -1):
        legend = axes.legend(
            handles,
            words,
            title=old.get_title().get_text() or None,
            ncols=columns,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=axes.transAxes + down,
            frameon=False,
            fontsize=letters,
            title_fontsize=letters,
            columnspacing=1.2,
        )
        if legend.get_window_extent().width <= axes.bbox.width:
            break
    return legend
