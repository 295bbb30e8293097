"""The study's command with other options: what the page offers to run next."""

import shlex
from collections.abc import Mapping, Sequence

HEAD = ["jaxopt-course", "compare"]
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
    return shlex.join([*HEAD, *(w for name, words in left.items() for w in (name, *words))])
