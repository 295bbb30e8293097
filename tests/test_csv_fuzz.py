"""Tables of strangers: whatever a file of CSV holds, an answer of ours that names it.

``-m fuzz`` tries 2,000 inputs, ``-m soak`` 100,000.
"""

import random
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from odd_input import little_memory, odd_bytes, put, refused, watched

from jaxopt_course.problems.csv import parser, pieces, reading, texts
from jaxopt_course.problems.csv.telling import lines
from jaxopt_course.problems.tables import read_table, table_task

CELLS = [
    "", " ", "?", "NA", "null", "-", "nan", "inf", "-inf", "1e400", "1e308", "-1e308", "9" * 400,
    "9" * 5000, "9223372036854775808", "1e-320", "0x10", "1_000", "1,5", "1.234,5", "1 234", "12%",
    "$7.50", "3 kg", "(5)", "--", "2020-01-01", "2020-13-45", "0000-00-00", "99999-01-01", "24:00",
    "true", "FALSE", '"', '""', '"x', "'", "a\nb", '"a\nb"', "\r", "\x00", "\x1b[2J", "\u202e", "é",
    "e\u0301", "\ud800", "\ue000", "\ue001x", "x" * 5_000, "=1+1", "١٢", "²", "½", "−5", "+-3",
    "1+2j", "None", "None,None", ";", "\t", "|", "\ufeff", "<b>", "{", "Unnamed: 0", "sep=;",
    "Infinity",
]  # fmt: skip
NAMES = [
    "",
    "a",
    "y",
    "A",
    " y ",
    "Unnamed: 0",
    "1",
    "y=1",
    "y is missing",
    "self",
    "\x1b[2J",
    "x" * 3000,
]
ENCODINGS = ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037", "utf-8-sig"]
ARGUMENTS = {
    "sep": [",", ";", "tab", "blank", "|", "\x00", "", "ab", "\n", '"', "é", "\ud800", "\\s+", "."],
    "encoding": ["utf-16", "latin-1", "cp037", "base64", "rot13", "idna", "", "\x00",
                 "mbcs", "undefined", "unicode_escape", "utf-7", "zlib"],
    "header": [True, False],
    "decimal": [".", ",", "x"],
    "kind": ["classification", "regression", "auto"],
    "positive": ["1", "b", "", None, 1],
    "dates": [["day"], ["day=%d/%m/%Y"], ["day=%"], ["day=\x00"], ["n"], ["zone"], {"day": "%Q"},
              ["day=%Y-%m-%d"], ["day=(%d"], ["day=%z"], ["day=%Y%Y"]],
    "leave_out": [["empty"], ["rare"], ["empty", "rare"]],
    "drop": [["a"], ["n"], ["nobody"], ["a", "n", "word", "day"]],
}  # fmt: skip


def valid(moments):
    """A table of numbers, words, dates and gaps, as rows of text."""
    rows = moments.choice([3, 12, 30, 60])
    kinds = {
        "n": lambda i: str(i),
        "a": lambda i: f"{(i * 37 % 11) / 7:.3f}",
        "word": lambda i: ["red", "green", "blue"][i % 3],
        "day": lambda i: f"2021-{1 + i % 12:02d}-{1 + i % 28:02d}",
        "gap": lambda i: "" if i % 4 == 0 else str(i % 5),
        "flag": lambda i: str(i % 2 == 0),
        "money": lambda i: f"${i}.50",
        "zone": lambda i: f"2021-0{1 + i % 9}-0{1 + i % 9}T10:00:00+0{i % 3}:00",
    }
    names = moments.sample(list(kinds), moments.randint(1, 5))
    targets = [lambda i: str(i % 2), lambda i: "abc"[i % 3], lambda i: f"{i / 3:.2f}"]
    target = moments.choice(targets)
    table = [[*names, "y"]]
    return table + [[*(kinds[name](i) for name in names), target(i)] for i in range(rows)]


def spoilt(moments, table):
    """Cells, names, rows and columns that do not belong there."""
    row, width = moments.randrange(len(table)), len(table[0]) or 1
    column, cell = moments.randrange(width), moments.choice(CELLS)
    match moments.randrange(10):
        case 0 | 1 | 2:
            return (
                put(table, (row, min(column, len(table[row]) - 1)), cell) if table[row] else table
            )
        case 3 | 4:
            return [table[0], *(put(each, (min(column, len(each) - 1),), cell) if each else each
                                for each in table[1:])]  # fmt: skip
        case 5:
            return put(table, (0, column), moments.choice(NAMES)) if table[0] else table
        case 6:
            return put(table, (row,), table[row] * moments.choice([0, 2, 50]))
        case 7:
            more = [cell] * moments.choice([0, 1, 3, width])
            return [*table[:row], more, *table[row:]] if row else table
        case 8:
            return table[: moments.randint(1, 5)]
        case _:
            return put(table, (row,), ...) if len(table) > 1 else table


def written(moments):
    """The bytes of a file."""
    table = valid(moments)
    for _ in range(moments.choice([0, 1, 1, 2])):
        table = spoilt(moments, table)
    mark = moments.choice([*",,,,,,", ";", "\t", "|", " "])
    cell = (lambda c: f'"{c}"') if moments.random() < 0.1 else str
    end = moments.choice([*["\n"] * 8, "\r\n", "\r", "\n\n"])
    text = end.join(mark.join(map(cell, row)) for row in table)
    if moments.random() < 0.2:
        text = moments.choice(["sep=;\n", "sep=\x00\n", "# of 3\n", "\ufeff", "\n\n", '"']) + text
    text += moments.choice([*["\n"] * 8, "", "\n\n", "\x1a", '"', mark])
    encoding = moments.choice([*ENCODINGS, *["utf-8"] * 80])
    wide = encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig")
    content = text.encode(encoding, "surrogatepass" if wide else "replace")
    if moments.random() < 0.6:
        content = odd_bytes(moments, content)
    if moments.random() < 0.02:
        content = moments.choice([b"", b"\x00" * 50, b"PK\x03\x04", b"\xff\xfe", b"\n" * 9])
    return content


def chosen(moments):
    """Arguments, odd ones among them."""
    if moments.random() < 0.6:
        return {}
    names = moments.sample(list(ARGUMENTS), moments.choice([1, 1, 2]))
    return {name: moments.choice(ARGUMENTS[name]) for name in names}


def answer(file, target, arguments):
    """The reader's answer, and the task's."""
    of_file = {n: x for n, x in arguments.items() if n in ("sep", "encoding", "header", "decimal")}
    ours = [str(file), "sep must", "decimal must", "unknown encoding"]
    if refused(lambda: read_table(file, **of_file), names=ours) is None:
        refused(lambda: whole(table_task(file, target, **arguments)))


def whole(task):
    """What was accepted is finite, and can be told."""
    for part in (task.train, task.valid, task.test):
        assert all(np.isfinite(array).all() for array in part.values())
    assert all(isinstance(line, str) for line in lines(task.about))


def case(moments, folder):
    content, arguments = written(moments), chosen(moments)
    target = moments.choice([*["y"] * 12, "n", "a", "word", "", "\x1b[2J", "nobody"])
    file = folder / "strange.csv"
    file.write_bytes(content)
    return (content, arguments, target), lambda: answer(file, target, arguments)


def fuzz(folder, inputs, seed):
    moments = random.Random(seed)
    case(random.Random(0), folder)[1]()  # imports take their time, and are nobody's answer
    for turn in range(inputs):
        spoilt, read = case(moments, folder)
        try:
            with watched(), little_memory(len(spoilt[0])) if turn % 20 == 19 else nullcontext():
                read()
        except BaseException as error:
            error.add_note(f"turn {turn}: {str(spoilt)[:3000]}")
            raise


def test_odd_tables_get_an_answer(tmp_path):
    fuzz(tmp_path, 60, seed=0)


@pytest.mark.fuzz
def test_many_odd_tables_get_an_answer(tmp_path):
    fuzz(tmp_path, 2_000, seed=1)


@pytest.mark.soak
def test_very_many_odd_tables_get_an_answer(tmp_path):
    fuzz(tmp_path, 100_000, seed=2)


def read_in(file, arguments):
    """The table, or what is said against it."""
    try:
        return read_table(file, **arguments)
    except ValueError as error:
        return str(error)


def alike(folder, inputs, seed, monkeypatch):
    """Whether a table is read at once or a few lines at a time is the same."""
    moments, tables = random.Random(seed), 0
    for turn in range(inputs):
        file = folder / "pieces.csv"
        content, arguments = written(moments), chosen(moments)
        file.write_bytes(content)
        of_file = {n: x for n, x in arguments.items() if n in ("sep", "encoding", "header")}
        whole = read_in(file, of_file)
        with monkeypatch.context() as small:
            small.setattr(parser, "CELLS", moments.choice([1, 24, 100]))
            small.setattr(parser, "HEAD", moments.choice([1, 5, 20]))
            small.setattr(parser, "ALIKE", moments.choice([1, 3]))
            small.setattr(pieces, "PIECE", moments.choice([1, 30]))
            small.setattr(pieces, "CELLS", moments.choice([1, 10]))
            small.setattr(texts, "REMEMBERED", moments.choice([0, 3, 1 << 16]))
            small.setattr(parser, "AT_ONCE", moments.choice([0, 20]))
            small.setattr(parser, "BLOCKS", moments.choice([1, 2, 16]))
            wide = moments.choice([1, 3, 1_000])
            for module in (parser, reading):
                small.setattr(module, "WIDE", wide)
            parts = read_in(file, of_file)
        try:
            if isinstance(whole, str):  # of two faults, another one may be met first
                assert isinstance(parts, str)
            else:
                pd.testing.assert_frame_equal(parts, whole)
                tables += 1
        except BaseException as error:
            error.add_note(f"turn {turn}: {str((content, of_file))[:3000]}")
            raise
    assert tables > inputs / 10


def test_a_table_is_read_in_pieces_as_at_once(tmp_path, monkeypatch):
    alike(tmp_path, 150, 0, monkeypatch)


def test_a_number_beyond_63_bits_keeps_its_digits_in_a_piece_of_its_own(tmp_path, monkeypatch):
    """As a fuzzer found: pieces of 64 bits with a sign and without one became floats together."""
    file = tmp_path / "table.csv"
    file.write_text("n,y\n0,0\n1,9223372036854775809\n2,3\n3,5\n")
    whole = read_table(file)
    assert whole["y"].tolist() == [0, 2**63 + 1, 3, 5]
    for name in ("CELLS", "HEAD"):
        monkeypatch.setattr(parser, name, 1)
    pd.testing.assert_frame_equal(read_table(file), whole)


def test_a_boolean_below_gaps_stays_one(tmp_path, monkeypatch):
    """As a fuzzer found: pieces of gaps alone are numbers to pandas."""
    file = tmp_path / "table.csv"
    cells = ["-"] * 8 + ["FALSE"] + ["-"] * 4
    file.write_text("flag;y\n" + "".join(f"{cell};{n}\n" for n, cell in enumerate(cells)))
    whole = read_table(file)
    assert whole["flag"].dtype == "boolean"
    for name in ("CELLS", "HEAD", "ALIKE"):
        monkeypatch.setattr(parser, name, 1)
    pd.testing.assert_frame_equal(read_table(file), whole)


@pytest.mark.parametrize("wide", [1, 1_000])
def test_a_table_as_pandas_prints_it(tmp_path, monkeypatch, wide):
    """As a fuzzer found: numbers of rows from 0 were dropped in one way, and refused in another."""
    file = tmp_path / "table.txt"
    table = pd.DataFrame({"day": ["2021-01-02", "2021-02-03"] * 3, "y": np.arange(6) / 4})
    file.write_text(table.to_string())
    for module in (parser, reading):
        monkeypatch.setattr(module, "WIDE", wide)
    with pytest.warns(UserWarning, match="taken for names of the rows"):
        pd.testing.assert_frame_equal(read_table(file), table)


@pytest.mark.fuzz
def test_many_tables_are_read_in_pieces_as_at_once(tmp_path, monkeypatch):
    alike(tmp_path, 2_000, 1, monkeypatch)


SIZE = 3_000_000
ROWS = {
    "numbers": lambda r: ",".join(f"{r.gauss(0, 1):.6g}" for _ in range(5)),
    "digits": lambda r: ",".join(r.choices("0123456789", k=5)),
    "words": lambda r: ",".join(r.choices(["north", "south", "east", "somewhere"], k=5)),
    "letters": lambda r: ",".join(r.choices("abc", k=5)),
    "booleans": lambda r: ",".join(r.choices(["TRUE", "FALSE"], k=5)),
    "gaps": lambda r: ",".join(r.choices(["NA", "1.25", "", "3.5"], k=5)),
    "dress": lambda r: ",".join(f"{r.randrange(100)}%" for _ in range(5)),
    "quotes": lambda r: ",".join('"' + word + '"' for word in r.choices(["a b", "c,d", "e"], k=5)),
    "accents": lambda r: ",".join(r.choices(["día", "año", "señal €"], k=5)),
    "nothing": lambda r: "," * 4,
    "long": lambda r: ",".join(("1", "abc " * 500, "2", "3", "4")),
}


@pytest.mark.parametrize(
    "kind", [kind if kind == "digits" else pytest.param(kind, marks=pytest.mark.fuzz)
             for kind in ROWS]
)  # fmt: skip
def test_a_table_takes_less_than_ten_times_its_file(kind, tmp_path):
    """Beside what a piece of it takes, which is not much more where the file is larger."""
    moments = random.Random(0)
    line = "\n".join(ROWS[kind](moments) for _ in range(2_000)) + "\n"
    text = "one,two,three,four,five\n" + line * (SIZE // len(line))
    (tmp_path / "table.csv").write_text(text)
    read_table(tmp_path / "table.csv")  # what is imported first is no matter
    size = (tmp_path / "table.csv").stat().st_size
    with little_memory(size, floor=12 << 20, times=9):
        read_table(tmp_path / "table.csv")


def names(moments):
    """A text of its own in each row."""
    rows = range(SIZE // 18)
    return "name,x,y\n" + "".join(
        f"name{moments.randrange(10**9)},{i % 97},{i % 2}\n" for i in rows
    )


def wide(moments, cells):
    """Many columns, and rows enough that what pandas notes of each column is little beside them."""
    width = 3_000
    head = ",".join(f"c{place}" for place in range(width))
    rows = [",".join(moments.choices(cells, k=width)) for _ in range(SIZE // (2 * width))]
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize(
    "text, times",
    [(names, 6), pytest.param(lambda r: wide(r, "abc"), 7, marks=pytest.mark.fuzz)],
    ids=["names", "many columns"],
)
def test_neither_names_nor_many_columns_take_more(text, times, tmp_path, monkeypatch):
    """What pandas itself allocates while it reads is not seen here: 16 bytes a cell, of a block."""
    monkeypatch.setattr(parser, "AT_ONCE", 1 << 17)
    monkeypatch.setattr(parser, "CELLS", 1 << 15)
    monkeypatch.setattr(texts, "REMEMBERED", 1 << 12)
    (tmp_path / "table.csv").write_text("a,b,c\n1,2,x\n")
    read_table(tmp_path / "table.csv")
    (tmp_path / "table.csv").write_text(text(random.Random(0)))
    size = (tmp_path / "table.csv").stat().st_size
    with little_memory(size, floor=4 << 20 if text is names else 12 << 20, times=times):
        read_table(tmp_path / "table.csv")
