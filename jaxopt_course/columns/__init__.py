"""A table's columns, checked against what the optimizers take, with their defaults written in.

What comes out is the same table, whichever columns the user wrote: the defaults of registered
recipes stand in it as numbers, so that the program, and with it the bits, do not depend on which
of them were spelled out.
"""

from jaxopt_course.columns.cells import content_id, identify
from jaxopt_course.columns.signatures import Optimizer
from jaxopt_course.columns.table import Columns, check_columns

__all__ = ["Columns", "Optimizer", "check_columns", "content_id", "identify"]
