"""A study as files of text: tables of CSV, and the table of winners for LaTeX."""

from pathlib import Path

import pandas as pd
import xarray as xr

from jaxopt_course.exports.packages import free_file, write_text
from jaxopt_course.messages import printable
from jaxopt_course.report import verdict
from jaxopt_course.report.findings import Findings

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"\ensuremath{\pm}",
    "–": "--",
    "…": r"\ldots{}",
}


def to_csv(table: pd.DataFrame, file: str | Path, overwrite: bool = False) -> Path:
    """Write a table; numbers so that every bit comes back.

    Raises:
        FileExistsError: the file is there, and ``overwrite`` is false.
    """
    path = free_file(file, overwrite)
    write_text(path, table.to_csv(index=False))
    return path


def long(curves: xr.Dataset) -> pd.DataFrame:
    """Curves as a table: ``trial``, ``step``, ``curve``, ``value``, without what is no number."""
    parts = []
    for name, curve in curves.data_vars.items():
        axis = str(curve.dims[1])
        rows, columns = curve.notnull().to_numpy().nonzero()
        parts.append(
            pd.DataFrame(
                {
                    "trial": curves["trial"].to_numpy()[rows],
                    "step": curves[axis].to_numpy()[columns],
                    "curve": str(name),
                    "value": curve.to_numpy()[rows, columns],
                }
            )
        )
    return pd.concat(parts, ignore_index=True).sort_values(["trial", "step"], kind="stable")


def to_latex(findings: Findings) -> str:
    """The table of winners that ``compare`` prints, for ``booktabs``; the best row is bold."""
    header, rows = verdict.ranking_table(findings, edge="*")
    columns = "".join("r" if column.numeric else "l" for column in header)
    head = " & ".join(escape(column.short) for column in header)
    body = [" & ".join(escape(cell) for cell in row) for row in rows]
    if body:
        body[0] = " & ".join(rf"\textbf{{{escape(cell)}}}" for cell in rows[0])
    lines = [
        f"% {' '.join(printable(verdict.legend(findings)).split())}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *(rf"{row} \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    r"""Text as LaTeX prints it; a line break becomes a space.

    >>> print(escape("adam_w 50% ± 1"))
    adam\_w 50\% \ensuremath{\pm} 1
    """
    return "".join(SPECIAL.get(c, c) for c in printable(" ".join(text.split())))
