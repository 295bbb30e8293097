"""Lanes in time: who sat where, as plotly's own JSON."""

import html

from jaxopt_course.report.figures_html import Brush, Plot, layout, plain
from jaxopt_course.report.findings import Findings

ROOM = 64  # lanes that are drawn; the first ones


def lanes_in_time(findings: Findings) -> Plot | None:
    """A row a lane, a bar a trial that sat there, in the colour of its optimizer."""
    table = findings.sittings
    if table.empty:
        return None
    seats = table[["device", "lane"]].drop_duplicates().sort_values(["device", "lane"])[:ROOM]
    w, brush, data = findings.words, Brush(findings.optimizers, findings.words), []
    names = [f"{html.escape(device)} · {lane}" for device, lane in seats.itertuples(index=False)]
    shown = table.merge(seats.assign(seat=names), on=["device", "lane"])
    for name in findings.ranking["optimizer"]:
        own = shown[shown["optimizer"] == name]
        if own.empty:
            continue
        base = brush.base(str(name))
        del base["line"]
        data.append(
            base
            | {
                "type": "bar",
                "orientation": "h",
                "y": own["seat"].tolist(),
                "base": plain(own["begin"]),
                "x": plain(own["end"] - own["begin"]),
                "text": [str(trial) for trial in own["trial"]],
                "textposition": "none",
                "marker": {
                    "color": brush.styles[str(name)].colour,
                    "line": {"width": 1, "color": "rgba(128,128,128,0.6)"},
                },
                "hovertemplate": f"{brush.full[str(name)]}<br>"
                + w.say("trial {n}: {seconds} s", n="%{text}", seconds="%{x:.2f}")
                + "<extra></extra>",
            }
        )
    up: Plot = {"type": "category", "categoryarray": names[::-1], "automargin": True}
    height = 120 + 22 * len(names)
    across = {"rangemode": "tozero"}
    whole = layout(w.say("seconds since training began"), "", across, up, height)
    return {"data": data, "layout": whole | {"barmode": "overlay"}}
