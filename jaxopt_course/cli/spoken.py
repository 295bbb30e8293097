"""Messages that speak of Python's arguments, in the words of the command that meets them."""

import re
from dataclasses import fields
from typing import Any

from jaxopt_course.messages import in_options

PLACES = {"directory", "other", "trial"}  # are given without a name
ALSO = {"cluster": "--ray", "overwrite": "--overwrite", "exact": "--to-rounding"}
FLAGS = {"--to-rounding no": "--to-rounding", "--overwrite yes": "--overwrite"}

_REFUSED = re.compile(r"([a-z_]+) (?:must|takes)\b")


def spoken(text: str, asked: Any) -> str:
    """A message as who typed a command can use it: its options, in place of arguments.

    Args:
        text: as the package says it.
        asked: the command; without one the text stays as it is.
    """
    if asked is None:
        return text
    names = {field.name for field in fields(asked)} - PLACES
    options = {name: f"--{name.replace('_', '-')}" for name in names}
    told = in_options(text, options | ALSO)
    if (first := _REFUSED.match(told)) and first[1] in options:  # "lanes must be ..."
        told = f"{options[first[1]]}{told[first.end(1) :]}"
    for words, option in FLAGS.items():
        told = told.replace(words, option)
    return told
