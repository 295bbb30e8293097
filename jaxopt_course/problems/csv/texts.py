"""Columns of text: their different cells, and where they are."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

REMEMBERED = 1 << 16  # different cells of a column: beyond, where most differ, none is looked up


class Texts(NamedTuple):
    """A column of text: its different cells, without blanks around them, and where they are.

    Of very many a word may be there more than once.
    """

    codes: np.ndarray  # of each row, into words; -1 for a gap
    words: list[str]
    tidy: bool = True  # whether there were no blanks around any

    @classmethod
    def of(cls, column: Any) -> "Texts":
        """From strings and gaps (None, NaN); "" and "?" are gaps as well."""
        codes, found = pd.factorize(np.asarray(column, object))
        return cls.of_codes(_small(codes, len(found)), [str(word) for word in found])

    @classmethod
    def of_codes(cls, codes: np.ndarray, found: list[str]) -> "Texts":
        """From the different cells, as they stand, and where they are; -1 is a gap."""
        words = [word.strip() for word in found]
        tidy = words == found
        if len(words) > REMEMBERED:  # a dictionary of them would take more than the cells
            gaps = np.array([word in ("", "?") for word in words] + [True])
            return cls(np.where(gaps[codes], codes.dtype.type(-1), codes), words, tidy)
        again = not tidy and len(set(words)) < len(words)
        if again or "" in words or "?" in words:
            places = {word: place for place, word in enumerate(dict.fromkeys(words))}
            places |= dict.fromkeys(places.keys() & {"", "?"}, -1)
            codes = np.array([places[word] for word in words] + [-1], codes.dtype)[codes]
            words = list(dict.fromkeys(words))
        return cls(codes, words, tidy)

    @classmethod
    def of_words(cls, cells: Sequence[str]) -> "Texts":
        """From strings alone; quicker than :meth:`of` for few rows."""
        tidied = [cell.strip() for cell in cells]
        found = list(dict.fromkeys(tidied))
        places = {word: place for place, word in enumerate(w for w in found if w not in ("", "?"))}
        codes = np.array([places.get(word, -1) for word in tidied])
        return cls(
            _small(codes, len(places)), list(places), tidied == list(cells) and "?" not in found
        )

    @property
    def seen(self) -> list[str]:
        """The words that are in some row."""
        return [word for word in self.words if word not in ("", "?")]

    def among(self, rows: np.ndarray) -> set[str]:
        """The words that are in some of these rows, of (n,) bools."""
        return {self.words[code] for code in pd.unique(self.codes[rows]) if code >= 0}

    def counts(self) -> np.ndarray:
        """How many rows have each word."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.words))

    def spread(self, values: list[Any]) -> np.ndarray:
        """An object array with the value of each row's word, NaN in gaps."""
        each = np.fromiter(itertools.chain(values, [np.nan]), object, len(values) + 1)
        return each[self.codes]


def _small(codes: np.ndarray, words: int) -> np.ndarray:
    """In the shortest whole numbers that have the number of each word."""
    return codes.astype(np.min_scalar_type(-max(words, 1)), copy=False)


class Gathered:
    """A column of text that comes in pieces.

    Where most cells differ they are not looked up: that takes more than the cells themselves.
    """

    def __init__(self) -> None:
        self._words: list[str] = []
        self._places: dict[str, int] = {}
        self._codes = [np.zeros(0, np.int8)]
        self._rows = 0

    def add(self, cells: np.ndarray) -> None:
        """The next cells, strings and gaps."""
        codes, found = pd.factorize(cells)
        words, known = self._words, self._places
        self._rows += len(cells)
        forget = len(words) > REMEMBERED and 2 * len(words) > self._rows
        places = []
        for word in map(str, found):
            place = known.get(word, len(words))
            if place == len(words):
                words.append(word)
                if not forget:
                    known[word] = place
            places.append(place)
        self._codes.append(_small(np.array([*places, -1])[codes], len(words)))

    def texts(self) -> Texts:
        """All of them."""
        words, codes = self._words, np.concatenate(self._codes)
        self._words, self._places, self._codes = [], {}, []
        return Texts.of_codes(codes, words)
