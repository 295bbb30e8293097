"""pandas's reader of one text, a piece at a time, so that it takes no more memory than it must."""

import itertools
import operator
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.problems.csv import numbers as n
from jaxopt_course.problems.csv.layout import MORE_CELLS, Layout
from jaxopt_course.problems.csv.pieces import Source, records
from jaxopt_course.problems.csv.quotes import BLANKS
from jaxopt_course.problems.csv.texts import Gathered, Texts

MANY, FEW = 100, 1_000  # columns, rows: pandas takes long for many short columns, one by one
WIDE = 1_000  # columns: beyond, all rows are read at once, for pieces of them would be many
CELLS = 1 << 18  # of a piece
AT_ONCE = 1 << 21  # cells of a wide table: beyond, some of its columns are read after the others
BLOCKS = 16  # of them
HEAD = 1_000  # rows that tell which columns are words, and which may be empty
ALIKE = 1_000  # different words of a column that was empty there: beyond, they may be numbers
QUOTED = "\ue001"  # stands before a cell that the file has in quotes


class Parser:
    """The text below the lines that are skipped, read as far as pandas alone can.

    Args:
        text: of the whole file.
        how: it is laid out.
        empty: words that are gaps where numbers stand.
        decimal: the mark before decimals.

    Attributes:
        names: of all columns.
        rows: how many, below the names.
        table: the columns of numbers, and perhaps some of words; of the others there are texts.

    Raises:
        ValueError: rows have more cells than there are names; two columns of one name.
    """

    def __init__(self, text: str, how: Layout, empty: Sequence[str], decimal: n.Decimal) -> None:
        text = text.split("\n", how.skip)[-1]
        if how.extra:  # R's write.table names its rows, and not their column
            text = f'""{" " if how.mark == BLANKS else how.mark}{text.lstrip()}'
        self.text, self.how = text, how
        self._numbers: dict[str, Any] = {"decimal": decimal, "na_values": ["", *empty]}
        self._known: dict[int, Texts] = {}
        if how.names is not None and len(how.names) > WIDE:
            many = len(how.names) * text.count("\n") > AT_ONCE
            self._read_wide((self._blocks() if many else None) or [text])
            return
        head = next(self._pieces(nrows=HEAD, **self._numbers))
        self.names = _unlike(self._called(head))
        self._read(head)

    @property
    def is_full(self) -> bool:
        """Whether the last column has a cell in every row."""
        last = len(self.names) - 1
        if last not in self._known and self.names[last] not in self.table:
            self._known |= self._reread([last], None)
        if last in self._known:
            return bool((self._known[last].codes >= 0).all())
        return bool(self.table[self.names[last]].notna().all())

    def _read(self, head: pd.DataFrame) -> None:
        """Words as they stand, all else as pandas has it."""
        hollow = head.isna().all().to_numpy()
        words = np.array([dtype.kind not in "iufb" for dtype in head.dtypes], bool) | hollow
        raw = {name for name, yes in zip(head.columns, words, strict=True) if yes}
        gaps = {name: [""] if name in raw else self._numbers["na_values"] for name in head.columns}
        how = self._numbers | {"na_values": gaps, "dtype": dict.fromkeys(raw, object)}
        texts = {int(place): Gathered() for place in np.flatnonzero(words)}
        parts: dict[int, list[Any]] = {int(place): [] for place in np.flatnonzero(~words)}
        self.rows = 0
        for piece in self._pieces(**how):
            self.rows += len(piece)
            for place, text in texts.items():
                text.add(piece.iloc[:, place].to_numpy(object))
            for place, part in parts.items():
                part.append(piece.iloc[:, place].array)
        # each column's pieces are gone before the next one's are joined
        self._known = {place: texts.pop(place).texts() for place in list(texts)}
        made = {self.names[place]: _joined(parts.pop(place)) for place in list(parts)}
        late = [p for p in np.flatnonzero(hollow).tolist() if len(self._known[p].words) > ALIKE]
        if late:
            several: list[list[Any]] = [[] for _ in late]
            for piece in self._pieces(late, **self._numbers):
                for part, (_, column) in zip(several, piece.items(), strict=True):
                    part.append(column.array)
            for place, part in zip(late, several, strict=True):
                if {one.dtype.kind for one in part} <= set("iuf"):  # else as the file has it
                    del self._known[place]
                    made[self.names[place]] = _joined(part)
        order = [name for name in self.names if name in made]
        self.table = pd.DataFrame(
            {name: made[name] for name in order}, pd.RangeIndex(self.rows), copy=False
        )

    def _read_wide(self, texts: list[str]) -> None:
        """All rows at once, as pandas has them; of several blocks the columns of numbers alone.

        What pandas notes of each cell while it reads takes several times the room of short cells.
        """
        parts: list[pd.DataFrame] = []
        names: list[str] = []
        several = len(texts) > 1
        while texts:
            part = next(self._pieces(None, texts.pop(0), **self._numbers))
            given = (self.how.names or [])[len(names) :]
            own = self._called(part)  # a name is held once
            own = [a if a == b else b for a, b in itertools.zip_longest(given[: len(own)], own)]
            part.columns = own
            names += own
            if several:
                fits = [dtype.kind in "iufb" for dtype in part.dtypes]
                part = (part if all(fits) else part.loc[:, fits]).copy()  # one array, not many
            parts.append(part)
        self.rows, self.names = len(parts[0]), _unlike(names)
        self.table = pd.concat(parts, axis=1) if several else parts[0]

    def _blocks(self) -> list[str] | None:
        """The same text, some of its columns in each; None where splitting may differ."""
        mark, names = self.how.mark, self.how.names or []
        if mark == BLANKS or "\0" in self.text or not all(names):
            return None
        ends = np.linspace(0, len(names), max(1, min(BLOCKS, len(names) // 2)) + 1).astype(int)
        blocks: list[list[str]] = [[] for _ in ends[1:]]
        for line in Source(self.text):
            if line == "\n":
                continue
            cells = line.removesuffix("\n").split(mark)
            if len(cells) != len(names) or ('"' in line and not _plainly_quoted(cells)):
                return None
            for block, begin, end in zip(blocks, ends, ends[1:], strict=False):
                block.append(mark.join(cells[begin:end]))
        return ["\n".join(block) for block in blocks]

    def _pieces(
        self, columns: Any = None, text: str | None = None, nrows: int | None = None, **how: Any
    ) -> Iterator[pd.DataFrame]:
        """Some rows after the other; all at once where there are many columns."""
        width = len(self.how.names or self.names) if nrows is None else 0
        pieces = pd.read_csv(
            Source(text or self.text),
            sep=self.how.mark,
            header=None if self.how.names is None else 0,
            usecols=columns,
            skipinitialspace=self.how.mark != BLANKS,
            keep_default_na=False,
            low_memory=False,
            nrows=nrows,
            chunksize=None if width > WIDE or nrows else max(1, CELLS // width),
            **how,
        )
        begin = 0
        for piece in [pieces] if isinstance(pieces, pd.DataFrame) else pieces:
            if not piece.index.equals(pd.RangeIndex(begin, begin + len(piece))):
                raise ValueError(MORE_CELLS)
            begin += len(piece)
            yield piece

    def _called(self, table: pd.DataFrame) -> list[str]:
        if self.how.names is None:
            return [f"column {place + 1}" for place in table.columns]
        # A name with a line break or an escape would break the messages that name it.
        # One with a mark of byte order or a blank of no width would not be found again.
        clean = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff]+")
        return [clean.sub(" ", str(name)).strip() for name in table.columns]

    def texts(self, columns: Sequence[int], text: str | None = None) -> dict[str, Texts]:
        """Some columns as the file has them; those that are known are forgotten here."""
        columns = list(columns)
        known = {} if text else {p: self._known.pop(p) for p in columns if p in self._known}
        if rest := [place for place in columns if place not in known]:
            found = self._split(rest) if text is None else None
            known |= self._reread(rest, text) if found is None else found
        return {self.names[place]: known[place] for place in columns}

    def _reread(self, columns: list[int], text: str | None) -> dict[int, Texts]:
        places = sorted(columns)  # as pandas has them
        found = [Gathered() for _ in places]
        for piece in self._pieces(places, text, dtype=object, na_values=[""]):
            for one, (_, cells) in zip(found, piece.items(), strict=True):
                one.add(cells.to_numpy(object))
        return {place: one.texts() for place, one in zip(places, found, strict=True)}

    def _split(self, columns: list[int], sign: str = "") -> dict[int, Texts] | None:
        """The same by splitting lines, in a fifth of pandas's time; None where that may differ.

        With ``sign`` before each cell that is in quotes.
        """
        if len(columns) < MANY or self.rows > FEW or self.how.mark == BLANKS:
            return None
        seen: dict[str, str] = {}

        def one(cell: str) -> str:  # a word takes the room of ten cells
            if (known := seen.get(cell)) is None:
                shown = sign + cell[1:-1] if cell[:1] == '"' else cell
                known = seen[cell] = seen.setdefault(shown, shown) if shown != cell else cell
            return known

        asked = operator.itemgetter(*columns)
        rows: list[list[str]] = []
        filled = (line for line in Source(self.text) if line.strip())
        for line in itertools.islice(filled, int(self.how.names is not None), None):
            cells = line.removesuffix("\n").split(self.how.mark)
            if len(cells) != len(self.names) or ('"' in line and not _plainly_quoted(cells)):
                return None
            rows.append(list(map(one, asked(cells))))
        if not rows or len(rows) != self.rows:
            return None
        each = zip(columns, zip(*rows, strict=True), strict=True)
        return {place: Texts.of_words(words) for place, words in each}

    def quoted(self, columns: list[int]) -> list[Texts] | None:
        """The same, with a sign before each cell that is in quotes; None where there are none."""
        if self.text.count('"') < 2:
            return None
        if (found := self._split(columns, QUOTED)) is not None:
            return list(found.values())
        pieces = []
        for piece in records(self.text):
            if (signed := self._signed(piece)) is None:
                return None  # a quote inside a cell: inches, feet
            pieces.append(signed)
        # names may be in quotes as well, so columns are known by their places
        return list(self.texts(columns, "".join(pieces)).values())

    def _signed(self, text: str) -> str | None:
        parts = text.split('"')
        mark = self.how.mark
        begins = re.compile(r"(^|\s)$" if mark == BLANKS else rf"(^|[\n{re.escape(mark)}])[ ]*$")
        for place in range(1, len(parts) - 1, 2):
            before = parts[place - 1]
            if place == 1 or before:  # an empty part is the middle of a doubled quote
                if not begins.search(before):
                    return None
                parts[place] = QUOTED + parts[place]
        return '"'.join(parts)


def _plainly_quoted(cells: Sequence[str]) -> bool:
    """Whether each cell with quotes has one at each end, and none else."""
    return all(cell.count('"') == 2 and cell[0] == cell[-1] == '"' for cell in cells if '"' in cell)


def _unlike(names: list[str]) -> list[str]:
    """The names, no two of them alike."""
    if len(set(names)) < len(names):
        name = next(name for name, times in Counter(names).items() if times > 1)
        raise ValueError(f"two columns are called {name!r}; rename one")
    return names


def _joined(parts: list[Any]) -> Any:
    """The pieces of a column; of several kinds, as words and booleans, it is none of numbers."""
    kinds = {part.dtype.kind for part in parts}
    if kinds == {"i", "u"} and all(len(part) == 0 or part.min() >= 0 for part in parts):
        return np.concatenate([np.asarray(part, np.uint64) for part in parts])  # not as floats
    if kinds <= set("iuf") or kinds == {"b"}:
        return np.concatenate([np.asarray(part) for part in parts])
    return pd.concat([pd.Series(part, dtype=object) for part in parts]).array
