"""A study as a notebook shows it: what it is, and its winners."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jaxopt_course.messages import html_table
from jaxopt_course.report.words import number, title

MOST = 10  # winners that are shown


def study_html(said: str, winners: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """A small table.

    Args:
        said: the study in a line.
        winners: the best configuration of each optimizer, best first.
        manifest: of the study.
    """
    metric = manifest["metric"]
    columns = ["rank", *(name for name in manifest["searched"] if name in winners), metric]
    columns += [name for name in ("seeds", "diverged") if name in winners]
    rows = [[number(cell) for cell in row] for row in winners[columns].head(MOST).values.tolist()]
    if more := len(winners) - MOST:
        rows += [[f"… {more} more"] + [""] * (len(columns) - 1)] if more > 0 else []
    header = [f"{title(name)} (mean)" if name == metric else name for name in columns]
    return html_table(header, rows, said, strong=[0])
