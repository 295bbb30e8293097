"""More ways in which strangers write tables; right values by hand, or as pandas has them."""

import bz2
import gzip
import lzma
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from jaxopt_course.messages import in_options
from jaxopt_course.problems.csv import dates, fixed, numbers, reading, telling
from jaxopt_course.problems.csv.texts import Texts
from jaxopt_course.problems.tables import prepare, read_table, table_task


@pytest.fixture
def write(tmp_path):
    def written(content, name="table.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return written


# Numbers


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1´234.50", "12´345.25"], [1234.5, 12345.25]),
        (["1`234", "12`345", "7"], [1234, 12345, 7]),
        (["1\u2007234,5", "300"], [1234.5, 300]),  # a figure's blank
        (["$(1,234.50)", "$2.00"], [-1234.5, 2]),
        (["($1,234.50)", "$2.00"], [-1234.5, 2]),
        (["(12.5)%", "3%"], [-12.5, 3]),
        (["Rs. 1,234.50", "Rs. 7.00"], [1234.5, 7]),
        (["kr. 1.234,50", "kr. 7,00"], [1234.5, 7]),
        (["1 234,50 Kč", "7 Kč"], [1234.5, 7]),
        (["US$ 5.5", "US$ 6"], [5.5, 6]),
        (["NOK 5,5", "NOK 6"], [5.5, 6]),
        (["–5", "3", "–2.5"], [-5, 3, -2.5]),  # a dash for a minus
        (["１２．３", "４５"], [12.3, 45]),
        (["１，２３４", "７．５"], [1234, 7.5]),
        (["١٢٫٣", "٤٥"], [12.3, 45]),
        (["1.5x10^3", "2 × 10^-3", "3*10**2"], [1500, 0.002, 300]),
        (["5 st.", "7 st."], [5, 7]),
        (["$ -", "$ 5"], [None, 5]),
        (["85 m2", "62,5 m2", "7 m2"], [85, 62.5, 7]),
        (["5 kg/m^3", "7 kg/m^3"], [5, 7]),
        (["- €", "5 €"], [None, 5]),
    ],
)
def test_numbers_of_other_keyboards_and_books(write, cells, values):
    column = read_table(write("x|n\n" + "".join(f"{cell}|z\n" for cell in cells)))["x"]
    assert pd.api.types.is_numeric_dtype(column)
    assert [None if np.isnan(v) else v for v in column.astype(float)] == values


@pytest.mark.parametrize("cell", ["m2", "5–7", "x10^3", "(5", "$()", "–", "10^3", "٫", "kr."])
def test_what_only_looks_like_one_is_no_number(cell):
    assert numbers.cell_of(cell) is None or numbers.reading(numbers.cell_of(cell)) == set()


@pytest.mark.parametrize(
    "word",
    [
        "missing",
        "Unknown",
        "(null)",
        "\\N",
        ":",
        "*",
        "NaT",
        "no data",
        "#NV",
        "(missing)",
        "#¡DIV/0!",
        "#¿NOMBRE?",
        "#WERT!",
        "[NULL]",
        "-nan(ind)",
        "Sin datos",
        "NS/NC",
        "??",
    ],
)
def test_words_for_gaps_among_numbers(write, word):
    """With few different numbers each was a column of 0 and 1, with a remark at most."""
    rows = "".join(
        f"{word if i % 9 == 0 else i % 7},{word if i % 5 else 'red'}\n" for i in range(90)
    )
    found = reading.read(write(f"n,colour\n{rows}"))
    assert found.table["n"].isna().sum() == 10
    assert found.table["n"].sum() == sum(i % 7 for i in range(90) if i % 9)
    assert found.notes["n"] == [f"{word!r} is an empty cell"]
    assert set(found.table["colour"]) == {word, "red"}, "among words it is a word"


@pytest.mark.parametrize("word", ["Inf", "inf", "-Infinity"])
def test_infinite_numbers_are_said_and_no_words(write, word):
    """Below 50 different ones they were 38 columns of 0 and 1 (R writes Inf)."""
    rows = "".join(f"{word if i == 7 else i},{'ab'[i % 2]}\n" for i in range(40))
    table = read_table(write(f"u,y\n{rows}"))
    assert table["u"][7] == float(word) and table["u"][8] == 8
    with pytest.raises(ValueError, match="'u' cannot be made inputs and is infinite in row 7"):
        prepare(table, "y")


# Lines that are no rows


@pytest.mark.parametrize(
    "note", ["Source: Office, 2020", "(12 rows affected)", "Total,,", "* estimated", '"a, b"']
)
def test_notes_below_the_rows_are_left_out(write, note):
    """The first column became words of them."""
    rows = "".join(f"{i / 7:.3f},{i},{'ab'[i % 2]}\n" for i in range(40))
    table = reading.read(write(f"x,n,y\n{rows}\n{note}\n"))
    assert table.below == 1 and len(table.table) == 40
    assert table.table["x"].tolist() == [float(f"{i / 7:.3f}") for i in range(40)]
    about = table_task(write(f"x,n,y\n{rows}\n{note}\n{note}\n"), "y").about
    assert about["rows_left_out"]["of notes below the table"] == 2
    assert "40 rows, 2 of notes below the table left out" in telling.lines(about)[0]


def test_a_last_row_that_is_a_sum_is_remarked(write):
    """It is a row as the others, and far from them."""
    rows = "".join(f"town {i % 9},{i},{'ab'[i % 2]}\n" for i in range(40))
    found = reading.read(write(f"town,n,y\n{rows}Total,780,a\n"))
    assert len(found.table) == 41
    assert found.notes == {"town": ["the last row is called 'Total': take it out if it is a sum"]}
    assert reading.read(write(f"town,n,y\nTotal,1,a\n{rows}Total,780,a\n")).notes == {}
    columns = table_task(write(f"town,n,y\n{rows}Total,780,a\n"), "y", drop=["town"]).about[
        "columns"
    ]
    assert "take it out if it is a sum" in columns[0]["note"]


def test_rows_with_gaps_at_the_end_are_rows(write):
    """A name alone may be a row whose other cells are empty; a number alone is one cut short."""
    rows = "".join(f"town {i},{i}\n" for i in range(40))
    assert len(read_table(write(f"town,n\n{rows}Berlin,\n"))) == 41
    assert len(read_table(write("a,b\n1,2\n3,4\n5,\n"))) == 3
    assert len(read_table(write("a,b\n1,2\n3,4\n5"))) == 3
    assert len(read_table(write('a,b\n1,2\n3,"4\nfive\nsix"\n'))) == 2


UNITS = [
    ("time,temp,state\ns,°C,\n", "a line"),
    ("time,temp,state\n[s],[°C],[-]\n", "a line"),
    ("time,temp,state\nc,c,d\n,,class\n", "2 lines"),  # Orange
    ("time,temp,state\ncontinuous,continuous,discrete\n,,meta\n", "2 lines"),
    ("2019,,place\nmen,women,\n", "a line"),
    ("Q1,Q2,Q3\nHow warm?,How old?,Where?\n" + ",".join(['"{""ImportId"":""QID1""}"'] * 3) + "\n",
     "2 lines"),  # Qualtrics
]  # fmt: skip


@pytest.mark.parametrize(("head", "lines"), UNITS)
def test_units_and_types_below_the_names_are_no_rows(write, head, lines):
    """All columns became words, without a word."""
    rows = "".join(f"{i / 7:.3f},{i},{'xy'[i % 2]}\n" for i in range(12))
    with pytest.raises(
        ValueError, match=f"below the names stands? {lines} of units, types or more"
    ):
        read_table(write(head + rows))
    assert len(read_table(write(head + rows), header=True)) == 12 + head.count("\n") - 1


def test_orange_writes_types_of_words_too(write):
    rows = "first\tadult\tyes\ncrew\tadult\tno\n" * 10
    with pytest.raises(ValueError, match="2 lines of units, types or more names"):
        read_table(write("status\tage\tsurvived\nd\td\td\n\t\tclass\n" + rows))
    letters = "c\tc\td\n" + "x\tt\ts\nx\ty\tz\n" * 9
    assert len(read_table(write(f"u\tv\tw\n{letters}"))) == 19
    values = "".join(f"{i}\t{i / 7:.3f}\tyes\n" for i in range(20))
    with pytest.raises(ValueError, match="2 lines of units, types or more names"):
        read_table(write(f"u\tv\tw\nc\tcontinuous\tno yes\n\t\tclass\n{values}"))


@pytest.mark.parametrize(
    "rows",
    [
        "NA,NA,x\n",  # gaps
        "a,1,x\n",  # one column has a word
        ",,x\n",
    ],
)
def test_a_first_row_with_gaps_is_one(write, rows):
    more = "".join(f"{i / 7:.3f},{i},{'xy'[i % 2]}\n" for i in range(12))
    assert len(read_table(write(f"u,v,w\n{rows}{more}"))) == 13


@pytest.mark.parametrize("comment", ["# made by x, y, z\n", "# a, b, c\n# 1, 2, 3\n"])
def test_comments_with_as_many_commas_as_names_are_told(write, comment):
    rows = "".join(f"{i / 7:.3f},{i},{'xy'[i % 2]}\n" for i in range(12))
    with pytest.raises(
        ValueError, match=r"the names stand in line \d|below the names stands a line"
    ):
        read_table(write(f"{comment}u,v,w\n{rows}"))
    assert list(read_table(write(f"#u,v,w\n{rows}"))) == ["#u", "v", "w"]


def test_titles_of_several_cells_above_the_names(write):
    """All columns were words, called after the title."""
    head = "Made:,02/12/2022,,,,\nMade by:,Sally,Brown,,,\n"
    names = "Name,Work,Age,Has kids,Born,Dead\n"
    rows = "".join(f"N{i},actor,{50 + i},TRUE,{1 + i}/8/1947,1/10/2016\n" for i in range(9))
    with pytest.raises(ValueError, match="the names stand in line 3, it seems, below 'Made:,02/12"):
        read_table(write(head + names + rows))
    assert read_table(write(names + rows))["Age"].tolist() == list(range(50, 59))


def test_names_alone_that_end_with_a_mark(write):
    rows = "".join(f"{i / 7:.3f},{i},{'xy'[i % 2]}\n" for i in range(12))
    assert list(read_table(write(f"u,v,w,\n{rows}"))) == ["u", "v", "w"]


def test_names_as_numpy_writes_them(write, tmp_path):
    np.savetxt(tmp_path / "numpy.txt", np.arange(12.0).reshape(4, 3), header="u v w")
    assert read_table(tmp_path / "numpy.txt")["w"].tolist() == [2, 5, 8, 11]


@pytest.mark.parametrize("words", [False, True])
def test_several_columns_without_names_are_names_of_the_rows(write, words):
    """As pandas writes an index of several levels: the second one was an input."""
    first = ["ab"[i % 2] for i in range(20)] if words else [i // 5 for i in range(20)]
    second = [i // 2 for i in range(20)] if words else [i % 5 for i in range(20)]
    frame = pd.DataFrame({"x": range(20), "y": ["u", "v"] * 10})
    frame.index = pd.MultiIndex.from_arrays([first, second])
    assert list(read_table(write(frame.to_csv()))) == ["x", "y"]


# Marks


@pytest.mark.parametrize(
    "mark", ["::", "||", "^", "~", ":", "\x01", "\x1f", "¦", "§", "|~|", " - "]
)
def test_marks_of_any_kind(write, mark):
    rows = "".join(mark.join([f"{i / 7:.3f}", str(i), "x y"]) + "\n" for i in range(12))
    file = write(mark.join(["u", "v", "w"]) + "\n" + rows)
    tables = [read_table(file, sep=mark)]
    if mark not in ("|~|", " - "):  # found as well
        tables.append(read_table(file))
    for table in tables:
        assert list(table) == ["u", "v", "w"] and set(table["w"]) == {"x y"}
        assert table["v"].tolist() == list(range(12))


def test_a_mark_of_letters_in_quotes_splits_nothing(write):
    table = read_table(write('u::v\n"a::b"::2\n"c"::3\n'), sep="::")
    assert table["u"].tolist() == ["a::b", "c"] and table["v"].tolist() == [2, 3]
    for bad in ("", '"', "a b"[:1] + "nd", ":" * 9, "\n"):
        with pytest.raises(ValueError, match="sep must be a mark"):
            read_table(write("u,v\n1,2\n"), sep=bad)


@pytest.mark.parametrize("line", ["SEP=;", "sep = ;", '"sep=;"'])
def test_the_line_that_says_the_mark(write, line):
    assert read_table(write(f"{line}\nu;v\n1;2\n3;4\n"))["v"].tolist() == [2, 4]


# Cells that stand below each other


def padded(rows, names, widths, right):
    return "".join(
        " ".join(f"{c:>{w}}" if right else f"{c:<{w}}" for c, w in zip(row, widths, strict=True))
        + "\n" for row in [names, *rows]
    )  # fmt: skip


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("names", [["id", "weight", "size"], ["a id", "weight now", "size (m)"]])
def test_empty_cells_below_each_other_stay_where_they_are(write, names, right):
    """A gap moved the rest of its row to the left: sizes were weights, with a note."""
    rows = [(i, "" if i % 3 == 0 else 50 + i, f"{i * 2}.5") for i in range(30)]
    text = padded(rows, names, [8, 13, 10], right)
    table = read_table(write(text))
    assert list(table) == names
    assert table[names[0]].tolist() == list(range(30))
    assert table[names[1]].isna().sum() == 10 and table[names[1]].sum() == sum(
        50 + i for i in range(30) if i % 3
    )
    assert table[names[2]].tolist() == [i * 2 + 0.5 for i in range(30)]
    pd.testing.assert_frame_equal(table, read_table(write(text), sep="blank"))


def test_words_below_each_other(write):
    frame = pd.DataFrame({
        "full name": [f"ada lovelace{'x' * (i % 5)}" if i % 2 else "bo" for i in range(20)],
        "sea level": np.arange(20) / 8, "y": ["no", "yes"] * 10,
    })  # fmt: skip
    frame.loc[::4, "sea level"] = np.nan
    text = frame.to_string(index=False, na_rep="")
    found = read_table(write(text))
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)
    indexed = read_table(write(frame.to_string(na_rep="")))
    pd.testing.assert_frame_equal(indexed, frame, check_dtype=False)


def test_words_below_a_short_name_on_the_right(write):
    text = "     id      school   years\n" + "".join(
        f"{i:>7}  {['12-15 years', ' < 12 years'][i % 2]}  {i / 8:>6.3f}\n" for i in range(20)
    )
    table = read_table(write(text))
    assert list(table) == ["id", "school", "years"]
    assert table["school"].tolist() == ["12-15 years", "< 12 years"] * 10
    assert table["years"].tolist() == [i / 8 for i in range(20)]


def test_a_cell_that_no_place_finds_is_asked_for(write):
    """A row of blanks with fewer cells: whichever is missing, the others moved."""
    rows = "".join(
        f"{i * 10 ** (i % 5)} {i}\n" if i % 3 == 2 else f"{'9' * (1 + i % 7)} 5 {i}\n"
        for i in range(30)
    )
    for text in (f"a b c\n{rows}", f"a b\n{rows}", f"a b c\n{rows}7\n"):
        with pytest.raises(ValueError, match=r"row 3 below the names has fewer cells.*write NA"):
            read_table(write(text))
    assert fixed.cut("a b\n1 2\n3 4\n5 6\n7 8\n") is None, "regular"
    assert fixed.cut("a, b\n1, 2\n3,\n5, 6\n7, 8\n") is None, "commas"


# Dates

TIMES = pd.to_datetime(["2020-01-05 13:45:00", "2021-07-15 01:02:03", "2019-12-31 23:59:59"])
WRITTEN = {
    "seconds": [int(t.timestamp()) for t in TIMES],
    "milliseconds": [int(t.timestamp()) * 1000 for t in TIMES],
    "text of seconds": [str(int(t.timestamp())) for t in TIMES],
    "parts of seconds": [t.timestamp() for t in TIMES],
    "nanoseconds": [t.value for t in TIMES.as_unit("ns")],
    "zone": [f"{t.isoformat()}+02:00" for t in TIMES],
    "UTC": [f"{t.isoformat()}Z" for t in TIMES],
    "digits": [t.strftime("%Y%m%d%H%M%S") for t in TIMES],
    "ctime": [t.ctime() for t in TIMES],
    "mail": [t.strftime("%a, %d %b %Y %H:%M:%S +0100") for t in TIMES],
    "server": [t.strftime("%d/%b/%Y:%H:%M:%S +0000") for t in TIMES],
    "SAS": [t.strftime("%d%b%Y:%H:%M:%S").upper() for t in TIMES],
    "half a day": [t.strftime("%m/%d/%Y %I:%M:%S") + ["am", "p.m."][t.hour > 11] for t in TIMES],
    "long months": [t.strftime("%B %d, %Y %H:%M:%S") for t in TIMES],
    "JavaScript": [t.strftime("%d/%m/%Y, %H:%M:%S") for t in TIMES],
    "JavaScript in America": [t.strftime("%m/%d/%Y, %I:%M:%S %p") for t in TIMES],
    "logging": [t.strftime("%Y-%m-%d %H:%M:%S,000") for t in TIMES],
    "basic": [t.strftime("%Y%m%dT%H%M%S") for t in TIMES],
    "Spanish": [
        f"{t.day} de {['enero', 'julio', 'diciembre'][t.month // 6]} de {t.year} {t:%H:%M:%S}"
        for t in TIMES
    ],
    "Python": list(TIMES),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITTEN)
def test_times_as_systems_write_them(kind):
    """What the clock said, in the time zone that is written."""
    parts = dates.parts(pd.Series(WRITTEN[kind] * 4, name="t"))
    for field, name in (("year", "year"), ("month", "month"), ("day", "day"), ("hour", "hour"),
                        ("minute", "minute"), ("day_of_week", "weekday")):  # fmt: skip
        assert parts[f"t {name}"].tolist()[:3] == list(getattr(TIMES, field)), name


@pytest.mark.parametrize(
    "cells",
    [
        ["2020Q1", "2021Q3"], ["2020-Q1", "2021-Q3"], ["Q1 2020", "Q3 2021"], ["Jan-20", "Jul-21"],
        ["Jan 2020", "July 2021"], ["2020/01", "2021/07"], ["202001", "202107"],
        [202001.0, 202107.0], ["2020M01", "2021M07"], ["01.2020", "07.2021"],
    ],
)  # fmt: skip
def test_months_and_quarters(cells):
    parts = dates.parts(pd.Series([*cells, None] * 3, name="t"))
    assert {name: values.tolist()[:2] for name, values in parts.items()} == {
        "t year": [2020, 2021], "t month": [1, 7]}  # fmt: skip
    periods = pd.Series(pd.PeriodIndex(["2020Q1", "2021Q3"], freq="Q"), name="t")
    assert dates.parts(periods)["t month"].tolist() == [1, 7]


def test_years_first_in_two_digits_are_asked_for():
    """20/01/05 was the 20th of January 2005."""
    cells = [f"{20 + i % 3}/0{1 + i % 9}/{1 + i % 28:02d}" for i in range(60)]
    with pytest.raises(ValueError, match=r"as %d/%m/%y and as %y/%m/%d"):
        dates.parts(pd.Series(cells, name="t"))
    german = [f"{1 + i % 28:02d}.0{1 + i % 9}.{20 + i % 3}" for i in range(60)]
    assert set(dates.parts(pd.Series(german, name="t"))["t year"]) == {2020, 2021, 2022}
    assert dates.parts(pd.Series(cells, name="t"), "%y/%m/%d")["t year"][0] == 2020


@pytest.mark.parametrize("cell", ["43835", "1990.5", "12345678901234567890", "13/13/2020", "x"])
def test_what_is_no_date_is_said(cell):
    with pytest.raises(ValueError, match="is no date that is known"):
        dates.parts(pd.Series([cell] * 3, name="t"))


def test_the_cell_that_is_written_otherwise_is_named():
    days = [f"2022-0{1 + i % 9}-1{i % 9}" for i in range(30)]
    with pytest.raises(ValueError, match=r"\('2022-01-10', and '20220907' is not written so\)"):
        dates.parts(pd.Series([*days, "20220907"], name="t"))


# Letters


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1252", ["größe", "naïf", "señal"]),
        ("cp1251", ["высота", "имя", "город"]),
        ("koi8-r", ["высота", "имя", "город"]),
        ("shift_jis", ["名前", "東京", "カラー"]),
        ("gb18030", ["姓名", "北京", "颜色"]),
    ],
)
def test_the_advice_on_an_encoding_leads_to_the_words(write, encoding, words):
    """For all of them it was cp1252, under which other alphabets are read as gibberish."""
    file = write((f"{words[0]},n\n" + f"{words[1]},1\n{words[2]},2\n" * 9).encode(encoding))
    with pytest.raises(ValueError, match=f"encoding='{encoding}'"):
        read_table(file)
    assert list(read_table(file, encoding=encoding)) == [words[0], "n"]


# The same table


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_tables_are_unpacked(write, pack):
    text = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40))
    plain = read_table(write(f"x,y\n{text}"))
    packed = write(pack(f"x,y\n{text}".encode()), "packed.csv")
    pd.testing.assert_frame_equal(read_table(packed), plain)
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(ValueError, match="is compressed, and cannot be unpacked"):
        read_table(packed)


def test_what_is_packed_is_bounded(write):
    with pytest.raises(ValueError, match="compressed, and more than 6,553,600 bytes"):
        read_table(write(gzip.compress(b"0" * (1 << 24)), "bomb.csv"))


def test_few_words_repeated_are_no_bomb(write):
    """A survey of 20,000 rows was refused: it is thirty times its packed file."""
    words = np.random.default_rng(0).choice([0, 1, 2], 50_000, p=[0.8, 0.1, 0.1])
    rows = "".join(f"{['not married', 'married', 'no answer'][w]},{w}\n" for w in words)
    packed = gzip.compress(f"state,n\n{rows}".encode())
    assert 90 * len(packed) > len(rows) > 20 * len(packed) and len(rows) > 10 * 65536
    assert read_table(write(packed, "survey.csv"))["n"].sum() == words.sum()


def test_joined_files_with_byte_order_marks(write):
    """The mark stood before the first number of the second file, so all of them were words."""
    table = read_table(write("\ufeffx,y\n1,2\n3,4\n\ufeff5,6\n7,8\n"))
    assert table["x"].tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (pickle.dumps(pd.DataFrame({"x": [1]}), 5), "a pickle"),
        (b"ORC\x01\xff\0", "an ORC file"),
        (b"r\x02\x01\0\x03\0\xc8\0", "a Stata file"),
        (gzip.compress(b"RDX3\nX\n\0\0\0\x03"), "a workspace of R"),
        (gzip.compress(b"X\n\0\0\0\x03\0\x04"), "an object of R"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "what macOS notes"),
        (b'[\n  {"x": 1},\n  {"x": 2}\n]', "a page, XML or JSON"),
        (b"<table><tr><td>1</td></tr></table>", "a page, XML or JSON"),
    ],
    ids=["pickle", "ORC", "Stata", "RData", "rds", "macOS", "JSON", "HTML"],
)
def test_files_of_other_kinds_are_called_what_they_are(write, content, what):
    """The advice was encoding='shift_jis', or to take out a line."""
    with pytest.raises(ValueError, match=f" is {what}"):
        read_table(write(content))


def test_names_of_few_rows_are_remarked():
    """Below 50 rows of training they were categories without a word, each seen once."""
    names = [f"{a}{b}" for a in "abcdefgh" for b in "klmno"]
    table = pd.DataFrame({"name": names, "z": ["u", "v"] * 20, "y": range(40)})
    ready = prepare(table, "y")
    notes = {column.name: column.note for column in ready.columns}
    assert "different in every row: a name" in notes["name"] and notes["z"] == ""


def test_a_name_like_an_option_can_be_pasted():
    table = pd.DataFrame({"-x": [f"n {i} m" for i in range(90)], "y": range(90)})
    with pytest.raises(ValueError, match=r"drop=\['-x'\]$") as error:
        prepare(table, "y")
    assert in_options(str(error.value), {"drop": "--drop"}).endswith(": leave out --drop=-x")


def test_lists_in_cells_are_named():
    table = pd.DataFrame({"tags": [["a", "b"]] * 40, "y": ["u", "v"] * 20})
    with pytest.raises(ValueError, match=r"column 'tags' .*holds lists.*drop=\['tags'\]"):
        prepare(table, "y")


def test_numbers_as_text_are_remarked():
    """Text "12" in a frame stays text, and it is said what to do; it is read where gaps are ""."""
    table = pd.DataFrame({"n": [str(i % 20) for i in range(60)], "y": [0.1 * i for i in range(60)]})
    ready = prepare(table, "y")
    [note] = [column.note for column in ready.columns if column.name == "n"]
    assert len(ready.features) > 10 and "pandas.to_numeric" in note
    many = table.assign(n=[str(i / 7) for i in range(60)])
    with pytest.raises(ValueError, match=r"numbers as text.*pandas\.to_numeric"):
        prepare(pd.concat([many] * 3, ignore_index=True).assign(y=np.arange(180.0)), "y")


ALIKE = [  # cells of one shape, that differ in digits above 0 alone, and their neighbours
    ["$1,234.50", "$9,876.10", "$9,876.40", "$10.00"],
    ["(1.234,5)", "(2.345,6)", "7,5-", "7,6-"],
    ["1e5", "2e7", "2.5E-3", "3.5E-4"],
    ["3 x 10^5", "4 x 10^6", "2 x 10^5"],
    ["0.234", "1.234", "2.345", "0.345"],
    ["10", "20", "30", "011", "022"],
    ["12,34,567.5", "23,45,678.5", "1,2,3"],
    ["１２", "３４", "1\u202f234", "2\u202f345"],
]


@pytest.mark.parametrize("cells", ALIKE, ids=lambda cells: cells[0])
@pytest.mark.parametrize("decimal", [".", ","])
def test_cells_of_one_shape_are_read_as_each_by_itself(cells, decimal):
    """A column remembers ways of writing; one cell has nothing to remember."""
    read = lambda some: numbers.numbers(Texts.of(np.array(some, object)), decimal)
    alone = [read([cell]) for cell in cells]
    together = read(cells)
    if together is None:
        assert None in alone or len({one.dress for one in alone}) > 1
        for some in ([a, b] for a in cells for b in cells):  # the culprit alone fails
            fine = all(read([cell]) is not None for cell in some)
            assert (read(some) is not None) == fine
    else:
        assert together.values.tolist() == [one.values[0] for one in alone]


def test_sums_beyond_the_largest_number_are_none(write):
    cells = "-1e308,1\n" * 4 + "-1e308,4\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_table(write(f"a,b\n{cells}"))["a"].tolist() == [-1e308] * 5


def test_ways_of_writing_are_forgotten_where_each_cell_has_its_own(monkeypatch):
    monkeypatch.setattr(numbers, "SHAPES", 3)
    cells = [f"{i:,}.{j}" for i in (0, 1, 10, 11, 1_000, 1_001) for j in ("0", "00", "5")]
    found = numbers.numbers(Texts.of(np.array(cells, object)), ".")
    assert found.values.tolist() == [float(cell.replace(",", "")) for cell in cells]


def test_names_that_stand_again_far_below_are_said(write):
    """Beyond the first hundred lines all columns became words."""
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(150))
    with pytest.raises(ValueError, match="the first line stands again in line 152, as where"):
        read_table(write(f"n,word\n{rows}n,word\n{rows}"))
    assert len(read_table(write(f"n,word\n{rows}n,words\n"))) == 151
    assert len(read_table(write(f"n,word\n{rows}n,word\n"), header=True)) == 151


def test_months_in_spanish_are_hinted_at():
    days = [f"{1 + i % 28}-{['ene', 'feb', 'abr', 'dic'][i % 4]}-{1950 + i}" for i in range(90)]
    with pytest.raises(ValueError, match=r"dates=\['day'\]"):
        prepare(pd.DataFrame({"day": days, "y": range(90)}), "y")


def test_two_numbers_in_a_cell_are_no_number():
    """Of '40.4, 3.7' and '40.4, -3.7' only the latter was said to be no number."""
    places = [f"{40 + i / 7:.3f}, {8 - i / 9:.3f}" for i in range(90)]
    with pytest.raises(ValueError, match="more than 50; different in every row"):
        prepare(pd.DataFrame({"place": places, "y": range(90)}), "y")


@pytest.mark.parametrize("other", ["a\xa0b", "a  b", "a\u200b b", "a b\u00ad"])
def test_words_that_look_alike_are_remarked(other):
    """A blank of another kind makes a class of its own, and the page showed the same word twice."""
    table = pd.DataFrame({"x": np.arange(90) / 7, "w": ["a b", other, "c"] * 30})
    for target in ("x", "w"):
        notes = {column.name: column.note for column in prepare(table, target).columns}
        assert f"{' and '.join(map(ascii, sorted(['a b', other])))} look alike" in notes["w"]
    assert "look alike" not in str(prepare(table.assign(w=["a b", "ab", "c"] * 30), "x").columns)
