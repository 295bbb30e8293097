"""A text in pieces, so that what is made of it takes the memory of a piece."""

from collections.abc import Iterator

PIECE = 1 << 20  # characters
CELLS = 1 << 18


class Source:
    """A text as a file: StringIO takes four bytes a character, and its bytes would be a copy."""

    def __init__(self, text: str) -> None:
        self._text, self._place = text, 0

    def read(self, size: int = -1) -> str:
        """The next characters, all that are left by default."""
        begin = self._place
        self._place = len(self._text) if size < 0 else min(begin + size, len(self._text))
        return self._text[begin : self._place]

    def __iter__(self) -> Iterator[str]:
        """Its lines; pandas asks whether there is such a thing."""
        while line := self._text[self._place : self._text.find("\n", self._place) + 1 or None]:
            self._place += len(line)
            yield line


def lines(text: str) -> Iterator[str]:
    r"""Pieces that end with a line.

    >>> list(lines("a\nb"))
    ['a\nb']
    """
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + PIECE) + 1 or len(text)
        yield text[begin:end]
        begin = end


def records(text: str) -> Iterator[str]:
    """Pieces that end with a line outside of quotes; behind one that nobody closes is the rest."""
    held: list[str] = []
    quotes = 0
    for piece in lines(text):
        held.append(piece)
        quotes += piece.count('"')
        if quotes % 2 == 0:
            yield "".join(held)
            held = []
    if held:
        yield "".join(held)


def blocks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of pieces of a table of so many, each of at most ``CELLS`` cells or so."""
    wide = max(1, min(columns, CELLS // max(1, min(rows, 1 << 12))))
    high = max(1, CELLS // wide)
    for left in range(0, columns, wide):
        for top in range(0, rows, high):
            yield slice(top, top + high), slice(left, left + wide)
