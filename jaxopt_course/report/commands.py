"""The study's command with other options: what the page offers to run next."""

import shlex
from collections.abc import Mapping, Sequence

from jaxopt_course.messages import in_options

HEAD = ["jaxopt-course", "compare"]
OF_TABLE = {"dates": "--dates", "drop": "--drop", "leave_out": "--leave-out"}
PIPED = "< TABLE.csv"  # what was read from standard input, whose file nobody knows
OWN = ("--out", "--overwrite", "--live", "--json")  # of that run alone


def options(command: str) -> dict[str, list[str]] | None:
    """``--name`` -> its words, of a ``compare``; None of any other command, or of none.

    >>> options("python -m jaxopt_course compare --task wine --optimizers sgd adam")
    {'--task': ['wine'], '--optimizers': ['sgd', 'adam']}
    >>> options("mine.py") is None
    True
    """
    if not command.isprintable():  # pasted, a line break would run what stands before it
        return None
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that nothing closes
        return None
    if "compare" not in words[:4]:
        return None
    found: dict[str, list[str]] = {}
    name = ""
    for word in words[words.index("compare") + 1 :]:
        if word.startswith("--"):
            name, mark, value = word.partition("=")
            found[name] = [value] if mark else []
        elif not name:
            return None  # it takes no such word: who wrote this?
        else:
            found[name].append(word)
    return found


def changed(
    command: str, given: Mapping[str, Sequence[object]], without: Sequence[str] = ()
) -> str | None:
    """The command with other options, each in its place, or at the end; None as of options.

    >>> changed("jaxopt-course compare --epochs 5 --out x", {"--epochs": [10], "--confirm": [9]})
    'jaxopt-course compare --epochs 10 --confirm 9'
    """
    found = options(command)
    if found is None:
        return None
    merged = found | {name: [str(word) for word in words] for name, words in given.items()}
    left = {name: words for name, words in merged.items() if name not in (*OWN, *without)}
    return fed([*HEAD, *(w for name, words in left.items() for w in (name, *words))])


def fed(words: Sequence[str]) -> str:
    """A command as a shell takes it; one that reads standard input says where the table goes.

    >>> fed(["jaxopt-course", "compare", "--csv", "-", "--target", "y"])
    'jaxopt-course compare --csv - --target y < TABLE.csv'
    """
    pairs = zip(words, [*words[1:], ""], strict=True)
    piped = any(word == "--csv=-" or (word, value) == ("--csv", "-") for word, value in pairs)
    return f"{shlex.join(words)} {PIPED}" if piped else shlex.join(words)


def in_words_of(command: str, line: object) -> str:
    """A remark on a table as its reader can use it: with options, where a command made the study.

    >>> in_words_of("jaxopt-course compare --csv a.csv", "dates by dates=['day']")
    'dates by --dates day'
    """
    return in_options(str(line), OF_TABLE) if options(command) is not None else str(line)


def to_copy(command: str) -> str:
    """A study's command as the page shows it, of one line."""
    try:
        return fed(shlex.split(command)) if command.isprintable() else command
    except ValueError:  # a quote that nothing closes
        return command
