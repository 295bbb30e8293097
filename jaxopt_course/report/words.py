"""How the report says names, numbers and sentences, in English and in Spanish.

    words = Words("es")
    words.say("{n} of {all} diverged.", n="2", all=words.counted(640, "trial"))

A sentence stands in the code as its English template; ``spanish.py`` has the Spanish one under it.
Numbers in prose have the language's decimal mark; names of columns, code and commands stay.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.report import spanish

LANGUAGES = ("en", "es")

PARTS = {"train": "training", "valid": "validation", "test": "test"}
NAMES = PARTS | {"r2": "R²", "auc": "AUC", "f1": "F1"}


def title(metric: str) -> str:
    """``best_valid_loss`` -> ``best validation loss``."""
    words = metric.split("_")
    return " ".join(NAMES.get(word, word) for word in words)


def number(value: Any, digits: int = 4) -> str:
    """A value as a reader wants it: ``0.003981``, ``1e-05``, ``adam``; a dash if there is none."""
    if pd.isna(value):
        return "–"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    return re.sub(r"e([+-])0?(\d)$", r"e\1\2", f"{value:.{digits}g}").replace("e+", "e")


def plus_minus(mean: float, half_width: float) -> str:
    """``0.9781 ± 0.0046``: both to the decimals that the half width deserves.

    The mean alone if there is no half width, or one of 0: seeds that agree promise no certainty.
    """
    if pd.isna(mean) or pd.isna(half_width) or half_width == 0:
        return number(mean)
    decimals = 1 - math.floor(math.log10(half_width))
    if not -6 < decimals < 8:
        return f"{number(mean)} ± {number(half_width, 2)}"
    return f"{mean:.{max(decimals, 0)}f} ± {half_width:.{max(decimals, 0)}f}"


def short(name: str, most: int = 24) -> str:
    """``name``, its middle left out if it is longer than ``most`` characters."""
    if len(name) <= most:
        return name
    head = (most - 1) * 2 // 3
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def capital(said: str) -> str:
    """A sentence's beginning: its first letter large, the others as they are."""
    return said[:1].upper() + said[1:]


def replicate(manifest: Mapping[str, Any]) -> str:
    """What a configuration has several of: seeds, or combinations of them with other columns."""
    return "replicate" if manifest.get("replicates") else "seed"


def counted(n: int, noun: str) -> str:
    """``1 seed``, ``4 seeds``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """``a``, ``a and b``, ``a, b, c and 3 others``."""
    shown = list(names) if len(names) <= most else [*names[: most - 1]]
    if len(shown) < len(names):
        shown.append(f"{len(names) - len(shown)} others")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def settings(row: pd.Series, names: Iterable[str]) -> str:
    """``learning_rate=0.004, b1=0.9``: what a row has of ``names``."""
    return ", ".join(f"{name}={number(row[name], 3)}" for name in names if not pd.isna(row[name]))


def amount(value: Any, form: str) -> str:
    """``form`` filled with ``value``; nothing where that is no finite number, or a file says so.

    >>> amount(12.345, "{:.1f} s"), amount("long", "{:.1f} s"), amount(None, "{:,}")
    ('12.3 s', '', '')
    """
    try:
        known = isinstance(value, int | float) and not isinstance(value, bool)
        return form.format(value) if known and math.isfinite(value) else ""
    except (OverflowError, ValueError):  # JSON may hold a whole number of any length
        return ""


def mapping(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What a file has under ``key``, if it is a mapping; else an empty one."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def sequence(holder: Mapping[str, Any], key: str) -> list[str]:
    """What a file has under ``key`` as text, item by item, if it is a list; else an empty one."""
    value = holder.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class Words:
    """The same in a language: ``Words("es").number(0.5)`` is ``0,5``.

    Raises:
        ValueError: the report does not speak it.
    """

    language: str = "en"

    def __post_init__(self) -> None:
        if not isinstance(self.language, str) or self.language not in LANGUAGES:
            raise ValueError(f"the report is in {listed(LANGUAGES)}, not in {self.language!r:.60}")

    @property
    def spanish(self) -> bool:
        """Whether it is Spanish."""
        return self.language == "es"

    def say(self, template: str, /, **parts: Any) -> str:
        """``template`` in the language, filled with ``parts``, which are said already.

        >>> Words("es").say("Copy")
        'Copiar'
        """
        chosen = spanish.SENTENCES.get(template, template) if self.spanish else template
        return chosen.format(**parts)

    def number(self, value: Any, digits: int = 4) -> str:
        """See :func:`number`."""
        return self.mark(number(value, digits)) if _is_float(value) else number(value, digits)

    def plus_minus(self, mean: float, half_width: float) -> str:
        """See :func:`plus_minus`."""
        return self.mark(plus_minus(mean, half_width))

    def share(self, value: float) -> str:
        """``25%``, in Spanish ``25 %``."""
        return self.percent(f"{value:.0%}")

    def percent(self, text: str) -> str:
        """A share that is text, as the language writes it."""
        return text.replace("%", "\u202f%" if self.spanish else "%")

    def part(self, name: str) -> str:
        """Of the data: ``train``, ``entrenamiento``."""
        return spanish.PARTS.get(name, name) if self.spanish else name

    def whole(self, n: int) -> str:
        """``1,234``; in Spanish ``1234`` and ``12 345``."""
        if not self.spanish:
            return f"{n:,}"
        return f"{n:,}".replace(",", "\u202f") if abs(n) >= 10_000 else str(n)

    def mark(self, text: str) -> str:
        """A number that is text, with the language's decimal mark."""
        return text.replace(".", ",") if self.spanish else text

    def counted(self, n: int, noun: str) -> str:
        """``4 seeds``, ``4 semillas``."""
        if not self.spanish:
            return counted(n, noun)
        one, more = spanish.NOUNS.get(noun, (noun, f"{noun}s"))
        return f"{self.whole(n)} {one if n == 1 else more}"

    def one(self, noun: str) -> str:
        """``seed``, ``semilla``."""
        return spanish.NOUNS.get(noun, (noun,))[0] if self.spanish else noun

    def plural(self, noun: str) -> str:
        """``seeds``, ``semillas``."""
        return spanish.NOUNS.get(noun, (noun, f"{noun}s"))[1] if self.spanish else f"{noun}s"

    def listed(self, names: Sequence[str], most: int = 4) -> str:
        """See :func:`listed`."""
        if not self.spanish:
            return listed(names, most)
        shown = list(names) if len(names) <= most else [*names[: most - 1]]
        rest = len(names) - len(shown)
        if rest:
            return f"{', '.join(shown)} y {rest} más"
        if len(shown) == 1:
            return shown[0]
        last = shown[-1]
        joint = "e" if re.match(r"h?i(?!e)", last, re.IGNORECASE) else "y"
        return f"{', '.join(shown[:-1])} {joint} {last}"

    def title(self, metric: str) -> str:
        """``best validation loss``, ``mejor pérdida de validación``."""
        if not self.spanish:
            return title(metric)
        best, name = metric.startswith("best_"), metric.removeprefix("best_")
        part, _, rest = name.partition("_")
        if part not in PARTS or not rest:
            return metric.replace("_", " ")
        noun = spanish.METRICS.get(rest, rest.replace("_", " "))
        said = f"{noun} de {spanish.PARTS[part]}"
        return f"mejor {said}" if best else said


def _is_float(value: Any) -> bool:
    return isinstance(value, float | np.floating)
