"""A warning before many programs are compiled."""

import warnings

from jaxopt_course.sweeps.progress import clock
from jaxopt_course.tables.buckets import Table


class ManyProgramsWarning(UserWarning):
    """A sweep's static columns have so many values that compiling takes long."""


def warn_of_many(table: Table, seconds: float, many: int) -> None:
    """Say how long it will take to compile so many programs.

    Args:
        table: whose buckets they are.
        seconds: that the first took.
        many: values of a static column, beyond which it is named.
    """
    count = len(table.buckets)
    values = {name: table.trials[name].nunique() for name in table.static}
    most = max(values, key=lambda name: values[name])
    what = f"static column {most!r} has {values[most]} different values"
    if values[most] <= many:
        what = f"static columns {', '.join(table.static)} have {count} combinations"
    warnings.warn(
        f"{what}: {count} programs are compiled, which takes about {clock(seconds * count)} (the "
        f"first took {seconds:.1f} s); a column that changes no shape need not be static",
        ManyProgramsWarning,
        stacklevel=4,
    )
