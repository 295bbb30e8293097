"""What to do where a column cannot be traced, beyond making it static."""

import traceback

from jaxopt_course import schedules


def hint_of(error: BaseException) -> str:
    """In words, for code of others that we have in a form that traces; else nothing."""
    errors = [error, *filter(None, (error.__cause__, error.__context__))]
    frames = [frame for one in errors for frame in traceback.extract_tb(one.__traceback__)]
    for frame in frames:
        file = frame.filename.replace("\\", "/")
        if "/optax/" in file and frame.name in schedules.__all__:
            return f"; or take joc.{frame.name}, whose numbers may be traced"
        if "/flax/" in file and "stochastic" in file:
            return "; or take joc.dropout(x, rate, key), whose rate may be traced"
    return ""
