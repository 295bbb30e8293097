"""Files of strangers: marks, headers, gaps, numbers in a dress; what cannot be told is asked."""

import gzip
import io
import os
import re
import socket
import threading
import time

import numpy as np
import pandas as pd
import pytest
from helpers import processor_seconds
from long_form import every, put

from jaxopt_course.cli.compare import Compare
from jaxopt_course.cli.own_table import table_of
from jaxopt_course.problems.csv import content as content_module
from jaxopt_course.problems.csv import numbers, parser, reading, telling
from jaxopt_course.problems.csv.content import StandardInput
from jaxopt_course.problems.tables import prepare, read_table, table_task


@pytest.fixture
def write(tmp_path):
    def written(content):
        file = tmp_path / "table.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return written


# Marks of decimals and thousands


def test_decimal_commas_elsewhere_make_a_point_one_of_thousands(write):
    table = read_table(
        write("area;rooms;height;price\n7.715;2;2,5;932086,84\n903;4;2,8;131788,25\n")
    )
    assert table["area"].tolist() == [7715, 903]
    assert table["height"].tolist() == [2.5, 2.8]
    assert table["price"].tolist() == [932086.84, 131788.25]


@pytest.mark.parametrize(("sep", "mark"), [("\t", ","), (";", "."), ("|", ","), (";", ",")])
def test_numbers_whose_thousands_have_marks_and_others_none(write, sep, mark):
    values = np.random.default_rng(0).integers(100, 9_000, 200)
    cells = [f"{v:,}".replace(",", mark) for v in values]
    table = read_table(
        write(f"area{sep}n\n" + "".join(f"{c}{sep}{i}\n" for i, c in enumerate(cells)))
    )
    assert table["area"].tolist() == values.tolist()


@pytest.mark.parametrize("cells", [("7,715", "9,303"), ("7.715", "9.303"), ("7,715", "903")])
def test_what_nothing_tells_is_asked(write, cells):
    file = write("area\trooms\n" + "".join(f"{cell}\t3\n" for cell in cells))
    with pytest.raises(ValueError, match=r"'area': is '7.715' 7715 or 7\.715.*decimal=','"):
        read_table(file)
    mark = cells[0][1]
    assert read_table(file, decimal=mark)["area"][0] == 7.715
    assert read_table(file, decimal="," if mark == "." else ".")["area"][0] == 7715


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        (["7,715", "1,234.5"], [7715, 1234.5]),
        (["7.715", "1.234,5"], [7715, 1234.5]),
        (["7,715", "1,234,567"], [7715, 1234567]),
        (["7.715", "1.234.567"], [7715, 1234567]),
        (["7,715", "0,123"], [7.715, 0.123]),
        (["7.715", "0.123"], [7.715, 0.123]),
        (["7.715", "12345.678"], [7.715, 12345.678]),
        (["7 715", "1 234,5"], [7715, 1234.5]),
        (["7'715", "1'234.5"], [7715, 1234.5]),
        (["7\u202f715", "-1\xa0234,5"], [7715, -1234.5]),
        (["1,23,456", "7,715"], [123456, 7715]),
        (["1e3", "2,5"], [1000, 2.5]),
    ],
)
def test_one_cell_with_one_reading_decides(write, cells, want):
    table = read_table(write("x;n\n" + "".join(f"{cell};1\n" for cell in cells)))
    assert table["x"].tolist() == want


def test_one_column_decides_for_the_others(write):
    assert read_table(write("x;y\n7.715;0,5\n8.815;1,5\n"))["x"].tolist() == [7715, 8815]
    assert read_table(write("x;y\n7,715;0.5\n8,815;1.5\n"))["x"].tolist() == [7715, 8815]
    with pytest.raises(ValueError, match="both are decimal marks here"):
        read_table(write("x;y;z\n7,715;0.5;2,5\n8,815;1.5;3,5\n"))


def test_beside_commas_the_point_is_for_decimals(write):
    table = read_table(write('x,y,z\n"7,715",7.715,1\n"9,303",9.303,2\n'))
    assert table["x"].tolist() == [7715, 9303] and table["y"].tolist() == [7.715, 9.303]
    both = read_table(write('x,y\n7.715,"2,5"\n9.303,"3,5"\n'))
    assert both["x"].tolist() == [7715, 9303] and both["y"].tolist() == [2.5, 3.5]


# Numbers in a dress


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        (["12%", "3 %", "0"], [12, 3, 0]),
        (["$7.50", "-$8", "0"], [7.5, -8, 0]),
        (["7.50 €", "8 €"], [7.5, 8]),
        (["USD 1,200.50", "($3)"], None),
        (["USD 1,200.50", "USD 3"], [1200.5, 3]),
        (["1,200.0", "(3)", "5"], [1200, -3, 5]),
        (["12 kg", "3.5kg"], [12, 3.5]),
        (["12 kg", "3 g"], None),
        (["19M", "201k"], None),
        (["0", "1", "3+"], None),
        (["12%", "0.5"], None),
        (["$5", "€5"], None),
        (["1.2.3", "1.0"], None),
    ],
)
def test_numbers_in_a_dress(write, cells, want):
    column = read_table(write("x|y\n" + "".join(f"{cell}|z\n" for cell in cells)))["x"]
    if want is None:
        assert column.tolist() == cells
    else:
        assert column.tolist() == want


def test_few_different_numbers_in_a_dress_are_one_input():
    """They were a column of 0 and 1 for each, without a word."""
    rate = np.arange(200) % 40 + 1
    table = pd.DataFrame({"rate": [f"{r}%" for r in rate], "y": 3.0 * rate + np.arange(200) / 7})
    assert prepare(table, "y").features == ("rate",)
    gaps = [str(r) if i % 17 else "-" for i, r in enumerate(rate)]
    assert prepare(table.assign(rate=gaps), "y").features == ("rate", "rate is missing")
    texts = table.assign(rate=rate.astype(str))
    assert len(prepare(texts, "y").features) == 40, "text of one's own making stays text"


# Gaps


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "n/a", "N/A", "-"])
def test_words_for_gaps_are_words_among_words(write, word):
    file = write("bag,n,on\n" + f"{word},1,TRUE\nDriver,{word},{word}\nBoth,3,false\n" * 40)
    table = read_table(file)
    assert set(table["bag"]) == {word, "Driver", "Both"}
    assert table["n"].isna().sum() == table["on"].isna().sum() == 40
    assert set(prepare(table, "bag").classes) == {word, "Driver", "Both"}
    assert f"bag={word}" in prepare(table, "n", leave_out=["empty"]).features


def test_what_is_not_in_quotes_among_quoted_words_is_a_gap(write):
    """As R writes them: "None" is a word, NA is none."""
    table = read_table(write('"bag","n"\n"None",1\n"a, NA,b",NA\nNA,3\n"Both",4\n"say ""NA""",5\n'))
    assert table["bag"].isna().tolist() == [False, False, True, False, False]
    assert table["bag"][0] == "None" and table["bag"][4] == 'say "NA"'


@pytest.mark.parametrize(
    "cells", [["TRUE", "true", "False"], ["TRUE", "", "FALSE"], ["true", "NA", "FALSE"]]
)
def test_booleans_however_they_are_written(write, cells):
    column = read_table(write("x,y\n" + "".join(f"{cell},1\n" for cell in cells)))["x"]
    assert [bool(c) for c in column.dropna()] == [c.lower() == "true" for c in cells if len(c) > 3]
    assert column.isna().sum() == sum(len(cell) < 3 for cell in cells)


def test_whole_numbers_are_exact(write):
    big = 2**53
    table = read_table(write("x,y,z\n" + "".join(
        f"{big + i},{'' if i == 3 else big + i},{10**20 + i}\n" for i in range(40))))  # fmt: skip
    assert [int(v) for v in table["y"].dropna()] == [big + i for i in range(40) if i != 3]
    ready = prepare(table.assign(t=["a", "b"] * 20), "t")
    for name in ("x", "y", "z"):
        values = ready.parts["train"][0][:, ready.features.index(name)]
        assert len(np.unique(values)) >= 23, name
    target = prepare(table[["x"]].assign(t=2**60 + np.arange(40)), "t").parts["train"][1]
    assert len(np.unique(target)) == 24


# Rows and columns that are none


@pytest.mark.parametrize("index", [range(1, 41), range(40), [7 * i % 41 for i in range(40)]])
@pytest.mark.parametrize("name", ['""', "", "Unnamed: 0"])
def test_numbers_of_rows_are_no_column(write, index, name):
    rows = "".join(f'"{i}",{k / 7:.3f},a\n' for k, i in enumerate(index))
    assert list(read_table(write(f"{name},x,y\n{rows}"))) == ["x", "y"]


def test_names_of_rows_are_no_column(write):
    assert list(read_table(write('"","mpg"\n"Mazda RX4",21\n"Datsun 710",22.8\n'))) == ["mpg"]
    file = write('"mpg" "cyl"\n"Mazda RX4" 21 6\n"Datsun 710" 22.8 4\n')
    with pytest.warns(UserWarning, match="taken for names of the rows, as R writes them"):
        assert list(read_table(file)) == ["mpg", "cyl"]
    assert "n" in read_table(write("n,x\n1,.5\n2,.6\n3,.7\n")), "with a name it may be one"


def test_a_cell_more_than_names_is_said(write):
    """R's write.table names its rows so; a forgotten first name looks the same."""
    file = write("x,y\n1,0.5,a\n2,0.7,b\n3,0.9,a\n")
    with pytest.warns(UserWarning, match="one cell more than .* names of the rows.* give every"):
        table = read_table(file)
    assert list(table) == ["x", "y"] and table["x"].tolist() == [0.5, 0.7, 0.9]
    with pytest.raises(ValueError, match="more cells in its rows than names"):
        read_table(write("x,y\n7,0.5,a\n7,0.7,b\n3,0.9,a\n"))


def test_rows_without_any_cell_are_none(write):
    found = reading.read(write("a;b;\n1;x;\n;;\n;;\n2;y;\n"))
    assert found.table["a"].tolist() == [1, 2] and found.empty_rows == 2
    assert "empty" in found.left_out["Unnamed: 2"]


def test_cells_beyond_the_last_name_are_remarked(write):
    found = reading.read(write("a;b;\n" + "1;x;\n" * 9 + "1;x;2\n"))
    assert "filled in 1 of 10 rows: are cells shifted" in found.notes["Unnamed: 2"][0]


def test_a_file_is_not_called_like_a_task_of_the_library(tmp_path):
    """Its study would be replayed on the data of the library."""
    for name, task in {"wine": "wine_csv", "mnist_cnn": "mnist_cnn_csv", "wines": "wines"}.items():
        file = tmp_path / f"{name}.csv"
        file.write_text("x,y\n" + "1,a\n2,b\n" * 20)
        assert table_of(Compare(csv=file, target="y")).name == task


# Layout


@pytest.mark.parametrize(
    "first",
    ["5.1,3.5,1.4,0.2,setosa", "39,State,77516,x,13", "A11,6,4,4,a", "0.1,0.2,0.3,?,a"],
)
def test_a_first_line_that_looks_like_data(write, first):
    cells = first.split(",")
    rows = [",".join([cells[0], *[c if c[0].isalpha() else str(i) for c in cells[1:]]])
            for i in range(20)]  # fmt: skip
    file = write("\n".join([first, *rows]))
    with pytest.raises(ValueError, match=r"looks like data, not like names .*header=False"):
        read_table(file)
    table = read_table(file, header=False)
    assert len(table) == 21 and list(table)[:2] == ["column 1", "column 2"]
    if len(set(cells)) == len(cells):
        assert len(read_table(file, header=True)) == 20


@pytest.mark.parametrize(
    "names",
    ["country,2010,2011,2012", "0,1,2,3", "kind,400.5,401.0,401.5", "a,b,c,d", "yes,no,n,m"],
)
def test_names_that_are_numbers_may_be_names(write, names):
    rows = "".join(f"{'yes' if i % 2 else 'x'},{i / 3:.2f},{i},{i * 2}\n" for i in range(30))
    assert list(read_table(write(f"{names}\n{rows}"))) == names.split(",")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (
            "temp, C;hum, %;wind, m/s\n21,5;40,0;3,2\n20,5;41,0;3,1\n",
            ["temp, C", "hum, %", "wind, m/s"],
        ),
        ("sep=;\na;b\n1;2\n", ["a", "b"]),
        ('mpg   cyl  name\n18.0   8   "a b"\n15.0   8   "c d"\n', ["mpg", "cyl", "name"]),
        ('a;note\n1;"x, y, z"\n2;"u, v, w"\n', ["a", "note"]),
        ("a|b,c|d\n1|2|3\n4|5|6\n", ["a", "b,c", "d"]),
    ],
)
def test_the_mark_is_chosen_by_all_lines(write, content, names):
    assert list(read_table(write(content))) == names


def test_what_splits_the_cells_may_be_said(write):
    assert read_table(write("a:b\n1:2\n"), sep=":")["b"].tolist() == [2]
    assert read_table(write("a\tb,c\n1\t2\n"), sep="tab")["b,c"].tolist() == [2]
    with pytest.raises(ValueError, match="sep must be a mark"):
        read_table(write("a,b\n1,2\n"), sep="and")
    with pytest.raises(ValueError, match="unknown column 'b'") as error:
        table_task(write("a!b\n1!2\n3!4\n"), "b")
    assert "split by commas" in error.value.__notes__[0]


def test_encodings(write):
    file = write("naïf,b\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match="encoding='cp1252'"):
        read_table(file)
    assert list(read_table(file, encoding="cp1252")) == ["naïf", "b"]
    with pytest.raises(ValueError, match="unknown encoding 'utf-99'"):
        read_table(file, encoding="utf-99")


WORDS = {"größe": [1.5, 2.0], "ort": ["Köln", "Łódź"]}
TEXT = "größe,ort\n1.5,Köln\n2.0,Łódź\n"
MARKS = {"utf-8-sig": b"", "utf-16": b"", "utf-32": b"",  # Python writes these marks
         "utf-16-be": b"\xfe\xff", "utf-32-be": b"\0\0\xfe\xff"}  # fmt: skip


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", MARKS)
def test_a_byte_order_mark_says_the_encoding(write, encoding, pack):
    content = MARKS[encoding] + TEXT.encode(encoding)
    file = write(pack(content))
    assert read_table(file).to_dict("list") == WORDS
    assert read_table(file, encoding=encoding).to_dict("list") == WORDS
    with pytest.raises(ValueError, match="as its byte order mark says: take encoding= out"):
        read_table(file, encoding="cp1252")


def test_what_begins_with_a_mark_and_goes_on_otherwise(write):
    with pytest.raises(ValueError, match="is a page, XML or JSON"):
        read_table(write("<!DOCTYPE html>\n<p>a,b\n".encode("utf-16")))
    file = write(b"\xef\xbb\xbfna\xefve,b\n1,2\n")  # joined of files in two encodings
    with pytest.raises(ValueError, match=r"not a text file in UTF-8: .*encoding='cp1252'"):
        read_table(file)
    assert list(read_table(file, encoding="cp1252")) == ["naïve", "b"]


def test_names_cannot_speak_to_a_terminal(write):
    table = read_table(write('"a\x1b]0;owned\x07",b\n1,2\n'))
    assert all(name.isprintable() for name in table)


# Pipes and devices


def test_a_pipe_is_read_once_and_one_without_a_writer_is_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="a pipe that nobody writes to"):
        read_table(pipe)
    read_end, write_end = os.pipe()

    def speak():
        time.sleep(0.1)
        with os.fdopen(write_end, "w") as stream:
            stream.write("a,b\n1,2\n")

    threading.Thread(target=speak).start()
    assert read_table(f"/dev/fd/{read_end}")["b"].tolist() == [2]
    os.close(read_end)
    with pytest.raises(ValueError, match="is a device"):
        read_table("/dev/zero")


@pytest.fixture
def standard_input(monkeypatch):
    """What is piped in, or any file in its place."""
    kept = []

    def put_in(content):
        if isinstance(content, bytes):
            read_end, write_end = os.pipe()
            threading.Thread(target=_write, args=(write_end, content)).start()
            stream = os.fdopen(read_end)
        else:
            stream = open(content)  # noqa: SIM115 -- closed below
        kept.append(stream)
        monkeypatch.setattr("sys.stdin", stream)

    yield put_in
    for stream in kept:
        stream.close()


def _write(place, content):
    with os.fdopen(place, "wb") as stream:
        for piece in (content[:7], content[7:]):
            stream.write(piece)
            stream.flush()
            time.sleep(0.02)


def test_standard_input_is_read_once(write, standard_input, monkeypatch):
    for content in (TEXT.encode(), gzip.compress(TEXT.encode("utf-16")), write(TEXT)):
        standard_input(content)
        assert read_table(StandardInput()).to_dict("list") == WORDS
        with pytest.raises(ValueError, match="standard input is empty"):
            read_table(StandardInput())
    standard_input(os.devnull)
    with pytest.raises(ValueError, match="standard input is empty"):
        read_table(StandardInput())
    standard_input("/dev/zero")
    with pytest.raises(ValueError, match="standard input is a device"):
        read_table(StandardInput())
    monkeypatch.setattr(content_module, "LARGEST_PIPE", 10)
    standard_input(TEXT.encode())
    with pytest.raises(ValueError, match="more than 2 GiB"):
        read_table(StandardInput())
    monkeypatch.setattr("sys.stdin", None)  # of a daemon
    with pytest.raises(ValueError, match="standard input is closed"):
        read_table(StandardInput())
    leader, follower = os.openpty()
    with os.fdopen(follower) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with pytest.raises(ValueError, match="standard input is a terminal"):
            read_table(StandardInput())
    os.close(leader)


def test_who_says_nothing_is_not_waited_for(standard_input, monkeypatch):
    monkeypatch.setattr(content_module, "PATIENCE", 0.01)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(ValueError, match="standard input is a pipe, and nothing came"):
            read_table(StandardInput())
    os.close(write_end)


# Size


@pytest.mark.long
@pytest.mark.parametrize(
    ("sep", "cell"),
    every(5, [(",", "{:.3f}"), (";", "{:.3f}"), (";", "{:.1f}x"), (",", "gap"), (",", "word")]),
)
def test_many_columns_take_linear_time(write, sep, cell):
    """16,000 genes: their names alone are longer than csv's limit of a field."""
    rng, seconds = np.random.default_rng(0), []
    for columns in (4_000, 16_000):
        lines = [sep.join(f"ENSG{i:011d}" for i in range(columns))]
        for row in rng.normal(size=(20, columns)):
            if cell == "gap":
                cells = ["NA" if v > 1 else f"{v:.3f}" for v in row]
            elif cell == "word":
                cells = ["low" if v < 0 else "high" for v in row]
            else:
                form = cell.replace("x", "")
                cells = [form.format(v) for v in row]
                cells = [c.replace(".", ",") for c in cells] if "x" in cell else cells
            lines.append(sep.join(cells))
        file = write("\n".join(lines))
        table, took = processor_seconds(lambda file=file: read_table(file))
        seconds.append(took)
        assert table.shape == (20, columns)
        assert {dtype.kind for dtype in table.dtypes} == {"O" if cell == "word" else "f"}
    assert seconds[1] < 8 * seconds[0], seconds  # 4 if it is linear, 16 if it is quadratic


@pytest.mark.long
def test_many_columns_become_inputs_in_linear_time():
    """Of words an input a word; in the order of the columns, and as one by one."""
    words = np.array(["low", "mid", "high", None], object)
    cells = words[np.random.default_rng(0).integers(0, 4, (40, 16_000))]
    table = pd.DataFrame(cells, columns=[f"g{i}" for i in range(16_000)], dtype="str")
    table["y"] = ["a", "b"] * 20
    _, few = processor_seconds(lambda: prepare(table[[*table.columns[:4_000], "y"]], "y"))
    ready, all_of_them = processor_seconds(lambda: prepare(table, "y"))
    assert all_of_them < 8 * few  # 4 if it is linear, 16 if it is quadratic
    some = prepare(table[["g3", "g5", "y"]], "y")
    places = [ready.features.index(name) for name in some.features]
    assert len(places) == 8 and places == sorted(places)
    for part in ready.parts:
        np.testing.assert_array_equal(ready.parts[part][0][:, places], some.parts[part][0])


def test_categories_of_one_text_and_a_category_called_as_gaps_are():
    """1 and True are equal to Python; whoever calls a category (missing) means a gap."""
    mixed = pd.Series([1, True, "1", None, "(missing)"] * 10, dtype=object)
    table = pd.DataFrame({"x": mixed, "y": ["a", "b"] * 25})
    ready = prepare(table, "y")
    assert set(ready.features) == {"x=1", "x=True", "x=(missing)"}
    for part, (inputs, _) in ready.parts.items():
        cells = mixed[ready.rows[part]].map(lambda c: "(missing)" if c is None else str(c))
        for name, column in zip(ready.features, inputs.T, strict=True):
            np.testing.assert_array_equal(column, cells == name[2:])


QUOTED = ['"a"', '" a "', '"NA"', '""', '"1.5"', '"x,y"', 'x"y', '"a""b"', ' "a"', '"a" ', '"']


PLAIN = ["a", " a ", "NA", "?", "", "1", "1.5", "TRUE", "x y", "-"]
SHORT = {("a", False), ("NA", True), ("1.5", False), ('"x,y"', True), ('"a""b"', False)}


@pytest.mark.parametrize(
    ("cells", "quotes"),
    [put((c, q), (c, q) in SHORT) for c in [*PLAIN, *QUOTED] for q in (False, True)],
)
def test_many_columns_are_read_as_few_are(write, monkeypatch, cells, quotes):
    """Wide tables are split without pandas: nothing may come out otherwise."""
    rng, wide = np.random.default_rng(1), reading.MANY + 20
    known = np.array([cells, '"a"', '"b"', "NA"] if quotes else [cells, "a", "b", "2"])
    lines = [",".join(f"c{i}" for i in range(wide))]
    lines += [",".join(known[rng.integers(0, 1 + i % 4, wide)]) for i in range(30)]
    file = write("\n".join([*lines, "", "  ", ""]))

    def read():
        try:
            return reading.read(file)
        except ValueError as error:
            return str(error)

    split = read()
    for module in (parser, reading):
        monkeypatch.setattr(module, "WIDE", 10)
    monkeypatch.setattr(parser, "AT_ONCE", 0)
    in_blocks = read()
    monkeypatch.undo()
    for module in (parser, reading):
        monkeypatch.setattr(module, "MANY", 10**9)
    whole = read()
    for found in (split, in_blocks):
        if isinstance(whole, str):
            assert isinstance(found, str)
            continue
        pd.testing.assert_frame_equal(found.table, whole.table)
        assert found.notes == whole.notes and found.left_out == whole.left_out


def test_cells_with_two_readings_of_a_number():
    texts = numbers.Texts.of(["7,715", "-7.715", "0,5"])
    marks = numbers.marks_of(texts)
    assert marks.certain == {","} and set(marks.either) == {"7,715", "7.715"}


def test_any_text_is_a_table_or_a_sentence(write):
    rng, marks = np.random.default_rng(0), list(',";\t|\n\n 0123456789.-ab$%\r\0é')
    read = 0
    for _ in range(200):
        file = write("".join(rng.choice(marks, rng.integers(80))))
        try:
            table = read_table(file)
            read += 1
            prepare(table, table.columns[-1])
        except ValueError as error:
            assert str(error), "every other error would end the test"
    assert read > 20


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\0", b"PK\x03\x04", b"a,b\n" + b"1,2,3\n" * 9])
def test_what_is_no_table_is_one_sentence(write, content):
    with pytest.raises(ValueError, match=r"table\.csv(:| is).*[a-z]") as error:
        read_table(write(content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("begin", ["https://", "http://", "ftp://", "s3://", "file://"])
def test_no_address_is_opened(tmp_path, monkeypatch, begin):
    """It is told from a file, or is the name of one that is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a connection was made"))
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    place = tmp_path if begin == "file://" else "localhost"
    told = begin in ("https://", "http://", "ftp://")
    error, words = (ValueError, "is an address, not a file") if told else (FileNotFoundError, "csv")
    with pytest.raises(error, match=words):
        read_table(f"{begin}{place}/t.csv")


def test_what_is_no_text_is_not_read_to_its_end(tmp_path):
    with open(tmp_path / "holes.csv", "wb") as stream:
        stream.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(ValueError, match=r"holes.csv holds zeros and no text"):
        read_table(tmp_path / "holes.csv")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(tmp_path / "s.csv"))  # such paths are short
        with pytest.raises(ValueError, match=r"s.csv is a socket"):
            read_table(tmp_path / "s.csv")


# Odd files of all sorts


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (b"PAR1\x00\x01", "Parquet file: read it with pandas"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1" + b"\0" * 99, "a workbook"),
        (b"SQLite format 3\0" + b"\0" * 99, "a data base"),
        (b"<!DOCTYPE html><html><table>", "a page, XML or JSON"),
        (b'{"p": 1, "y": "a"}\n' * 9, "a page, XML or JSON"),
        (b'[{"p": 1, "y": "a"}]', "a page, XML or JSON"),
    ],
)
def test_files_of_other_kinds(write, begin, words):
    with pytest.raises(ValueError, match=words):
        read_table(write(begin))


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("Report 2024\n", 2),
        ("Report 2024\n\n", 2),
        ("Report 2024,\n,\n", 3),
        ("# by hand\n# 2\n", 3),
    ],
)
def test_titles_above_the_names(write, above, line):
    rows = "p,y\n" + "1,a\n2,b\n" * 20
    with pytest.raises(ValueError, match=f"names stand in line {line}, .* take out what is above"):
        read_table(write(above + rows))
    assert list(read_table(write(rows))) == ["p", "y"]
    assert list(read_table(write("p\n" + "1\n2\n" * 9))) == ["p"]
    assert list(read_table(write('"","p"\n"a",1\n"b",2\n'))) == ["p"]


def notes_of(file, target="y"):
    return {c["name"]: c["note"] for c in table_task(file, target).about["columns"]}


def test_codes_that_begin_with_0_are_remarked(write):
    zips = "".join(f"0{1000 + i % 30},{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    said = notes_of(write("zip,x,y\n" + zips))
    assert "'01000' is 1000: if these are codes" in said["zip"] and "codes" not in said["x"]
    quoted = notes_of(write("zip;x;y\n" + zips.replace(",", ";").replace("0", '"0', 0)))
    assert "codes" in quoted["zip"]
    assert "codes" not in str(notes_of(write("p,y\n" + "0,a\n0.5,b\n" * 20)))


def test_three_words_are_no_numbers(write):
    """A column of low, mid and high was called one of numbers with odd cells."""
    rows = "".join(f"{('low', 'mid', 'high')[i % 3]},{'ab'[i % 2]}\n" for i in range(40))
    assert notes_of(write("x,y\n" + rows))["x"] == ""
    limits = "".join(f"{'<' if i % 9 == 0 else ''}{i / 10},{'ab'[i % 2]}\n" for i in range(40))
    assert "numbers, and '<0.0'" in notes_of(write("x,y\n" + limits))["x"]


@pytest.mark.parametrize("gap", ["", "?", '""', " "])
def test_a_column_without_any_cell_is_left_out_and_told(write, gap):
    rows = "".join(f"{i % 5},{gap},{'ab'[i % 2]}\n" for i in range(40))
    task = table_task(write("x,e,y\n" + rows), "y")
    assert task.train["inputs"].shape == (24, 1)
    told = {column["name"]: column for column in task.about["columns"]}
    assert told["e"] == {
        "name": "e", "became": "left out", "inputs": 0, "note": "empty in every row"
    }  # fmt: skip
    assert "  e: left out (empty in every row)" in telling.lines(task.about)


# Rows that end early, cells in single quotes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,c\n1,2,3\n4,5\n6\n7,8,9\n", "2 rows have fewer cells .* as line 3 has"),
        ('a,b,c\n1,"x,\ny",3\n4,"z"\n7,"q",9\n', "one row has fewer cells .* as line 4 has"),
        ("sep=;\na;b\n1;2\n3\n5;6\n", "one row has fewer cells .* as line 4 has"),
        ("a b c\n1 2 3\n4 5\n6 7 8\n", "one row has fewer cells .* as line 3 has"),
    ],
)
def test_rows_that_end_early_are_remarked(write, text, said):
    found = reading.read(write(text))
    assert pd.isna(found.table.iloc[1, -1])
    (note,) = found.notes[found.table.columns[-1]]
    assert re.search(said, note)


def test_an_empty_last_cell_is_no_row_that_ends_early(write):
    assert not reading.read(write("a,b\n1,2\n3,\n5,6\n")).notes


def test_cells_in_single_quotes(write):
    table = read_table(
        write("'sepal length','class'\n5.1,'Iris, setosa'\n4.9,'it''s'\n4.7,'it\\'s'\n")
    )
    assert table.columns.tolist() == ["sepal length", "class"]
    assert table["sepal length"].tolist() == [5.1, 4.9, 4.7]
    assert table["class"].tolist() == ["Iris, setosa", "it's", "it's"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,y\nrock 'n' roll,1\n'tis,2\no'neil,3\n", ["rock 'n' roll", "'tis", "o'neil"]),
        ("name,y\n'x',1\ny,2\nz,3\n", ["'x'", "y", "z"]),
        ("name,y\n'x',\"1\"\n'y',2\n'z',3\n", ["'x'", "'y'", "'z'"]),
    ],
)
def test_an_apostrophe_is_a_letter(write, text, words):
    assert read_table(write(text))["name"].tolist() == words


@pytest.mark.parametrize(
    "said",
    [
        r'x,"say \"hi\" now"',
        r'"so, \"yes\", she said",2',
        r'"C:\\",5',
        r'"a \"b\"",""',
    ],
)
def test_quotes_behind_a_backslash(write, said):
    text = 'a,b\n"one \\"two\\" three",2\n' + said + "\n1,2\n"
    theirs = pd.read_csv(io.StringIO(text), escapechar="\\")
    cells = lambda column: ["" if pd.isna(x) else x for x in column]
    for name, ours in read_table(write(text)).items():
        assert cells(ours) == cells(theirs[name])


@pytest.mark.parametrize(
    "said",
    [
        '5" pipe,2,"p, q"\n6 pipe,3,x',
        '6 pipe,3,x\n5" pipe,2,z',
        '"6"" pipe",3,x\n5" x 6" pipe,2,"z\nw, v"',
        'y "z,2,x\ny,3,z',
        'a, "b c",3\n7,8,9',
    ],
)
def test_inches_open_no_cell(write, said):
    """A file whose first rows had one inch mark was refused: all the rest stood in quotes."""
    text = f"a,b,c\n{said}\nx,3,y\n"
    theirs = pd.read_csv(io.StringIO(text), skipinitialspace=True)
    assert read_table(write(text)).astype(str).to_numpy().tolist() == (
        theirs.astype(str).to_numpy().tolist()
    )


@pytest.mark.parametrize("said", ['"C:\\"', '"{""a"": ""\\""}"', 'a\\"b', '"a\\""b"'])
def test_a_backslash_is_a_letter(write, said):
    text = f"a,b\n{said},2\nx,3\n"
    theirs = pd.read_csv(io.StringIO(text))
    assert read_table(write(text))["a"].tolist() == theirs["a"].tolist()


def test_bytes_are_the_words_that_they_spell():
    """As ``scipy.io.arff`` reads an ARFF file: classes were called b'yes', and b'?' was one."""
    words = [None if i % 7 == 0 else ["a", "ñ"][i % 2] for i in range(60)]
    labels = ["yes" if i % 3 else "no" for i in range(60)]
    of_bytes = lambda column: [b"?" if x is None else x.encode() for x in column]
    frames = [pd.DataFrame({"x": x, "y": y}, dtype=object) for x, y in
              [(words, labels), (of_bytes(words), of_bytes(labels))]]  # fmt: skip
    theirs, ours = (prepare(frame, "y") for frame in frames)
    assert ours.classes == theirs.classes == ("no", "yes")
    assert [c.note for c in ours.columns] == [c.note for c in theirs.columns]
    for part, (inputs, targets) in theirs.parts.items():
        np.testing.assert_array_equal(ours.parts[part][0], inputs)
        np.testing.assert_array_equal(ours.parts[part][1], targets)


# ---------------------------------------------------------------- what may be meant otherwise


def remarks(frame, target="y"):
    return {column.name: column.note for column in prepare(frame, target).columns}


def test_numbers_of_nines_that_stand_for_gaps_are_remarked():
    rows = np.random.default_rng(0).normal(size=60).round(2)
    label = ["a", "b"] * 30
    frame = pd.DataFrame({"t": 20 + rows, "age": np.arange(60) % 50, "share": rows, "y": label})
    frame.loc[::6, "t"] = -999.0
    frame.loc[7, "age"] = 999
    told = remarks(frame)
    assert told["t"] == "-999 in 10 rows, far from all others: if it is a gap, leave it empty"
    assert "999 in one row, far from all others" in told["age"]
    assert told["share"] == ""
    percent = pd.DataFrame({"p": np.arange(60) % 100 + 40, "flag": [0, 99] * 30, "y": label})
    assert percent["p"].max() == 99 and not any("gap" in note for note in remarks(percent).values())
    number = pd.DataFrame({"x": rows, "y": np.where(np.arange(60) % 20, rows, -9999.0)})
    assert "-9999 in 3 rows, far from all others" in remarks(number)["y"]


def test_classes_and_categories_that_differ_in_capitals_are_remarked():
    frame = pd.DataFrame({"city": ["Rome", "ROME", "Oslo"] * 20, "y": ["yes", "No", "no"] * 20})
    told = remarks(frame)
    assert told["city"] == "'ROME' and 'Rome' differ in capitals alone: are they one?"
    assert told["y"].endswith("'No' and 'no' differ in capitals alone: are they one?")
    plain = pd.DataFrame({"city": ["Rome", "Oslo"] * 20, "y": ["yes", "no"] * 20})
    assert "capitals" not in " ".join(remarks(plain).values())


@pytest.mark.parametrize("form, cells", [("%H:%M", "{:02d}:{:02d}"), ("%H:%M:%S", "{}:{:02d}:07")])
def test_times_of_the_day_are_told_the_way(form, cells):
    at = [cells.format(i % 24, i % 5 * 11) for i in range(40)]
    frame = pd.DataFrame({"at": at, "y": ["a", "b"] * 20})
    assert (
        remarks(frame)["at"].startswith("times: ")
        and f"dates={{'at': '{form}'}}" in remarks(frame)["at"]
    )
    ready = prepare(frame, "y", dates={"at": form})
    assert ready.features == ("at hour", "at minute")


# As others write them


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["4.5-", "3.25", "12-"], [-4.5, 3.25, -12]),  # SAP, COBOL
        (["1.5D+02", "2.5d-1", "3"], [150, 0.25, 3]),  # Fortran
        (["9'479.-", "19.50", "20.–"], [9479, 19.5, 20]),  # Swiss shops: no cents, and no minus
        (["19,--", "1.200,—"], [19, 1200]),
        (["19,- €", "-5,-- €", "7,50 €"], [19, -5, 7.5]),
        (["1.5", ".a", ".Z", "._"], [1.5, np.nan, np.nan, np.nan]),  # gaps of SAS and Stata
    ],
)
def test_numbers_of_other_systems(write, cells, values):
    found = read_table(write("p;y\n" + "".join(f"{c};a\n" for c in cells)))["p"]
    np.testing.assert_array_equal(found, values)
    for word in ("3-door", "-4-", "(4-)", "4--", "5D3", "1-2"):
        assert numbers.cell_of(word) is None


@pytest.mark.parametrize("cell", ["~{}", "{}/10", "No. {}", '"=""{:03d}"""', "{}h 20m", "#{}"])
def test_numbers_in_an_unknown_dress_are_remarked(write, cell):
    """One-hot they would be taken for words, without a word."""
    rows = "".join(f"{cell.format(i % 20)},{'ab'[i % 2]}\n" for i in range(100))
    assert (
        "if they are numbers, write them without the rest" in notes_of(write(f"p,y\n{rows}"))["p"]
    )
    few = "".join(f"ward {i % 9},{'ab'[i % 2]}\n" for i in range(100))
    assert notes_of(write(f"p,y\n{few}"))["p"] == ""


def test_a_last_row_that_sums_all_others_is_remarked(write):
    """Without a name it was a row as any other, far away from all."""
    rows = [(i, 3 * i % 7, 0.5 * i) for i in range(1, 40)]
    lines = "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    total = ",".join(str(sum(column)) for column in zip(*rows, strict=True))
    whole = reading.read(write(f"a,b,c\n{lines}{total}\n"))
    assert whole.notes["a"] == ["the last row is the sum of all others: take it out"]
    assert reading.read(write(f"a,b,c\n{lines}")).notes == {}
    chance = reading.read(write(f"a,b,c\n{lines}{total.split(',')[0]},5,6\n"))
    assert chance.notes == {}, "one column may end so by chance"


def test_versions_are_no_dates(write):
    rows = "".join(f"1.{i % 12}.0,{'ab'[i % 2]}\n" for i in range(100))
    assert "dates" not in notes_of(write(f"p,y\n{rows}"))["p"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_letters_of_several_bytes_are_told_by_their_encoding(write, encoding):
    file = write(("p,y\n" + "1,a\n2,b\n" * 9).encode(encoding))
    with pytest.raises(ValueError, match=f"encoding='{encoding}'"):
        read_table(file)
    assert list(read_table(file, encoding=encoding)) == ["p", "y"]


def test_zero_bytes_are_no_letters(write):
    """a and a with a zero byte would be two classes that look like one."""
    with pytest.raises(ValueError, match="zero bytes among its letters: take them out"):
        read_table(write("p,y\n1,a\n2,a\0\n"))


def test_marks_that_are_not_seen_are_no_part_of_a_name(write):
    assert list(read_table(write("p\u200b,\ufeffq,y\n1,2,a\n"))) == ["p", "q", "y"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x28\xb5\x2f\xfd12", "compressed"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"\x93NUMPY\x01\0", "an array"),
        (b"\x80\x04\x95\x01", "a pickle"),
        (b"% c\n\n@RELATION r\n@ATTRIBUTE p NUMERIC\n@DATA\n1\n", "an ARFF file.*loadarff"),
        (b"@relation r\r\n@attribute p real\r\n@data\r\n1\r\n", "an ARFF file.*@attribute names"),
        (b" p | y\n---+---\n 1 | a\n", "a line that is drawn, '---.---'"),
        (b"| p | y |\n|---|:-:|\n| 1 | a |\n", "a line that is drawn"),
        (b"p,y\n------,---\n1,a\n", "a line that is drawn"),
        (b"# by hand\n# a, b\np,y\n" + b"1,a\n" * 9, "names stand in line 3"),
        (b"p,y\n1,a\n2,b\np,y\n3,c\n", "the first line stands again among the rows"),
    ],
)
def test_what_stands_where_no_table_is(write, content, words):
    with pytest.raises(ValueError, match=words):
        read_table(write(content))
