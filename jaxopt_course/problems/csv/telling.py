"""What became of a table, in lines for a terminal or a page."""

from collections.abc import Mapping
from typing import Any

SHOWN = 40  # columns that are named


def lines(about: Mapping[str, Any]) -> list[str]:
    """The facts of :meth:`Prepared.about`, the most important first."""
    if not about:
        return []
    left = "".join(f", {n:,} {why} left out" for why, n in about["rows_left_out"].items())
    said = [f"{about['rows']:,} rows{left}"]
    said += [about["origin"]] if "origin" in about else []
    baseline = about["baseline"]
    if about["classes"]:
        total = sum(about["classes"].values())
        shares = [f"{name} {n / total:.1%}" for name, n in list(about["classes"].items())[:20]]
        positive = f"; positive is {about['positive']}" if about["positive"] is not None else ""
        said.append(f"classes: {', '.join(shares)}{positive}")
        said.append(
            f"always answering {baseline['answer']}: accuracy "
            f"{baseline['valid_accuracy']:.3f} valid, {baseline['test_accuracy']:.3f} test"
        )
    else:
        said.append(
            f"always answering {baseline['answer']:.6g}, the mean: loss "
            f"{baseline['valid_loss']:.3f} valid, {baseline['test_loss']:.3f} test, R² 0 or less"
        )
    columns = about["columns"]
    said += [
        f"  {column['name']}: {column['became']}"
        + (f", {column['inputs']} inputs" if column["inputs"] > 1 else "")
        + (f" ({column['note']})" if column["note"] else "")
        for column in columns[:SHOWN]
    ]
    if len(columns) > SHOWN:
        noted = [column for column in columns[SHOWN:] if column["note"]]
        said.append(
            f"  and {len(columns) - SHOWN} more columns, {len(noted)} of them with a remark"
        )
    return said
