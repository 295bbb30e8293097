"""Tables as tasks: the arrays are those of scikit-learn's pipeline; errors name the column."""

import json
from decimal import Decimal
from fractions import Fraction

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from long_form import only
from pandas.api.types import is_object_dtype
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.cli.answer import Answer
from jaxopt_course.messages import in_options
from jaxopt_course.problems.csv import telling
from jaxopt_course.problems.datasets import PARTS, split_indices
from jaxopt_course.problems.tables import prepare, read_table, table_task

N = 200


def people(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(10, 1, n),
            "job": rng.choice(["cook", "nurse", "pilot"], n),
            "member": rng.random(n) < 0.4,
            "buys": rng.choice(["no", "yes"], n, p=[0.7, 0.3]),
            "spent": rng.normal(50, 9, n),
            "stars": rng.integers(1, 6, n),
        }
    )


def with_holes(n=N):
    table = people(n)
    rng = np.random.default_rng(1)
    for column in ("income", "job"):
        table.loc[rng.random(n) < 0.1, column] = None
    return table


def worded(table):
    """Its words as they are read: of pandas 3's dtype, also where pandas 2 has objects."""
    words = pd.StringDtype(na_value=np.nan)
    return table.astype({c: words for c in table if is_object_dtype(table[c])})


def test_inputs_are_scikit_learns():
    table = with_holes()
    ready = prepare(table, "buys", split_seed=3)
    rows = split_indices(N, 3, (table["buys"] == "yes").to_numpy().astype(int))
    oracle = make_column_transformer(
        (StandardScaler(), ["age"]),
        (make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()), []),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["job"]),
        (StandardScaler(), ["member", "spent", "stars"]),
    )
    filled = table.assign(job=table["job"].fillna("(missing)"))
    oracle.fit(filled.iloc[rows["train"]])
    names = [name for name in ready.features if not name.startswith("income")]
    assert names == ["age", "job=(missing)", "job=cook", "job=nurse", "job=pilot",
                     "member", "spent", "stars"]  # fmt: skip
    kept = [ready.features.index(name) for name in names]
    for part in PARTS:
        np.testing.assert_array_equal(ready.rows[part], rows[part])
        want = oracle.transform(filled.iloc[rows[part]])
        np.testing.assert_allclose(ready.parts[part][0][:, kept], want, rtol=1e-5, atol=1e-6)


def test_missing_numbers_become_the_mean_and_are_marked():
    """Standardised as they are; then empty cells are 0, the mean of those that are there."""
    table = with_holes()
    ready = prepare(table, "buys")
    value, mark = (ready.features.index(name) for name in ("income", "income is missing"))
    seen = table["income"].iloc[ready.rows["train"]].dropna()
    for part in PARTS:
        inputs, income = ready.parts[part][0], table["income"].iloc[ready.rows[part]]
        np.testing.assert_array_equal(inputs[:, mark], income.isna())
        want = ((income - seen.mean()) / seen.std(ddof=0)).fillna(0)
        np.testing.assert_allclose(inputs[:, value], want, rtol=1e-5, atol=1e-6)


def test_the_test_part_changes_nothing():
    """Neither means nor categories look beyond the train part."""
    table = people()
    rows = prepare(table, "buys").rows
    other = table.copy()
    other.loc[rows["test"], "income"] = 1e9
    other.loc[rows["test"], "job"] = "king"
    one, two = prepare(table, "buys"), prepare(other, "buys")
    assert one.features == two.features
    np.testing.assert_array_equal(one.parts["train"][0], two.parts["train"][0])
    jobs = [i for i, name in enumerate(two.features) if name.startswith("job=")]
    assert not two.parts["test"][0][:, jobs].any()


@pytest.mark.parametrize(
    ("target", "kind", "classes"),
    [
        ("buys", "auto", ("no", "yes")),
        ("member", "auto", (False, True)),
        ("stars", "auto", (1, 2, 3, 4, 5)),
        ("job", "auto", ("cook", "nurse", "pilot")),
        ("age", "auto", ()),  # whole numbers, but more than 20 values
        ("spent", "auto", ()),
        ("stars", "regression", ()),
        ("member", "classification", (False, True)),
    ],
)
def test_the_kind_of_the_target(target, kind, classes):
    table = people()
    ready = prepare(table, target, kind=kind)
    assert ready.classes == classes
    for part in PARTS:
        values = table[target].iloc[ready.rows[part]].to_numpy()
        targets = ready.parts[part][1]
        if classes:
            assert [ready.classes[label] for label in targets] == values.tolist()
        else:
            back = targets * ready.scale + ready.center
            np.testing.assert_allclose(back, values.astype(float), rtol=1e-5)
    if not classes:
        np.testing.assert_allclose(ready.parts["train"][1].mean(), 0, atol=1e-6)
        np.testing.assert_allclose(ready.parts["train"][1].std(), 1, rtol=1e-6)


def test_a_number_of_units_is_one_hidden_layer():
    params = [table_task(people(), "buys", hidden=h).init(jax.random.key(0))[0] for h in (8, [8])]
    jax.tree.map(np.testing.assert_array_equal, *params)


def test_two_values_of_any_number_are_classes():
    table = people().assign(flag=np.tile([-1.5, 2.5], N // 2))
    assert prepare(table, "flag").classes == (-1.5, 2.5)


@pytest.mark.parametrize("dtype", ["float64", "object", "string", "Int64", "boolean", "category"])
def test_a_column_that_is_empty_in_every_row_is_left_out(dtype):
    gaps = pd.Series([None] * N, dtype=dtype)
    ready = prepare(people().assign(later=gaps), "buys")
    assert ready.features == prepare(people(), "buys").features
    assert ready.columns[0] == ("later", "left out", 0, "empty in every row")


def test_a_column_that_never_changes_is_only_centred():
    ready = prepare(people().assign(same=7), "buys")
    assert not ready.parts["train"][0][:, ready.features.index("same")].any()


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_text_of_every_dtype(dtype):
    want, table = prepare(people(), "buys"), people()
    for column in ("job", "buys"):
        table[column] = table[column].astype(dtype)
    got = prepare(table, "buys")
    assert (got.features, got.classes) == (want.features, want.classes)
    np.testing.assert_array_equal(got.parts["test"][0], want.parts["test"][0])


@pytest.mark.parametrize(
    ("target", "metrics", "outputs"),
    [
        ("buys", ["accuracy", "f1", "auc", "loss"], 1),
        ("job", ["accuracy", "loss"], 3),
        ("spent", ["loss", "r2"], 1),
    ],
)
def test_a_task_of_each_kind_learns(target, metrics, outputs):
    """On a target that hangs on the inputs."""
    table = people()
    table["spent"] = table["age"] / 10 + table["member"]
    table["buys"] = np.where(table["age"] > 50, "yes", "no")
    table["job"] = pd.cut(table["age"], 3, labels=["cook", "nurse", "pilot"]).astype(str)
    table = table[[target, "age", "member"]]
    task = table_task(table, target, hidden=[16], name="people")
    assert list(task.metrics) == metrics and task.name == "people" and task.split_seed == 0
    assert f"MLP 2-16-{outputs}" in task.description
    fitted = joc.fit(task, joc.adam(3e-2), epochs=40, batch_size=40)
    assert fitted.metrics["test_loss"] < 0.3


def test_settings_reach_the_task():
    own = {"age": (lambda z, y: z.mean(), "max")}
    task = table_task(people(), "buys", drop=["income", "spent"], metrics=own)
    assert task.metrics == {"age": "max", "loss": "min"}
    assert task.train["inputs"].shape[1] == 1 + 3 + 1 + 1


@pytest.mark.parametrize("sep", only([";"], [",", ";", "\t", "|"]))
def test_files_with_any_delimiter(tmp_path, sep):
    file = tmp_path / "my people.csv"
    people().to_csv(file, index=False, sep=sep)
    pd.testing.assert_frame_equal(read_table(file), worded(pd.read_csv(file, sep=sep)))
    task = table_task(file, "buys")
    assert task.name == "my_people"
    assert task.split_sha256 == table_task(read_table(file), "buys").split_sha256


def test_a_mark_inside_quotes_splits_nothing(tmp_path):
    file = tmp_path / "quoted.csv"
    file.write_text('"a;b;c;d",e\n1,2\n', encoding="utf-8-sig")
    assert list(read_table(file).columns) == ["a;b;c;d", "e"]


@pytest.mark.parametrize("sep", [";", "\t"])
def test_decimal_commas_are_numbers(tmp_path, sep):
    """As spreadsheets write them where the comma is the decimal mark; half of them in thousands."""
    file, table = tmp_path / "comas.csv", with_holes()
    table["grade"] = np.arange(N) % 9 / 2  # few values, which would do for categories
    table["income"] = table["income"].round(2)
    table.to_csv(file, sep=sep, decimal=",", index=False)
    pd.testing.assert_frame_equal(read_table(file), worded(table))
    texts = table["income"].map("{:,.2f}".format).str.translate(str.maketrans(",.", ".,"))
    table.assign(income=texts.where(table["income"].notna())).to_csv(file, sep=sep, index=False)
    np.testing.assert_allclose(read_table(file)["income"], table["income"])


def test_what_a_spreadsheet_adds_is_no_column(tmp_path):
    """Row numbers, a mark at the end of each line, spaces around all."""
    file, table = tmp_path / "sheet.csv", people().drop(columns="member")
    table.to_csv(file)
    pd.testing.assert_frame_equal(read_table(file), worded(table))
    lines = table.to_csv(index=False).splitlines()
    file.write_text("\n".join(line.replace(",", " , ") + "," for line in lines))
    pd.testing.assert_frame_equal(read_table(file), worded(table))
    file.write_text("\n".join([lines[0], *lines[1:]]).replace("cook", "?"))
    assert read_table(file)["job"].isna().sum() == (table["job"] == "cook").sum()


def test_many_classes_of_text_that_are_classes():
    table = people(2000).assign(code=[f"c{i % 100}" for i in range(2000)])
    assert len(prepare(table, "code").classes) == 100


INFINITE = people().assign(income=[np.inf if i == 7 else 1.0 for i in range(N)])
NAMES = people().assign(name=[f"person {i}" for i in range(N)])
HOLE = people().assign(buys=[None if i in (4, 9) else "no" for i in range(N)])
RARE = people().assign(buys=["yes" if i == 4 else "no" for i in range(N)])
EMPTY = people().assign(income=np.nan)
SELDOM = people()  # filled in no row of the train part
SELDOM.loc[prepare(SELDOM, "buys").rows["train"], "income"] = np.nan


@pytest.mark.parametrize(
    ("table", "target", "settings", "message"),
    [
        (people(), "buy", {}, "unknown column 'buy'; did you mean 'buys'"),
        (people(), "buys", {"drop": ["jobs"]}, "unknown column 'jobs'; did you mean 'job'"),
        (people(), "buys", {"drop": ["job", "buys"]}, "'buys' is the target, so it cannot be drop"),
        (people()[:0], "buys", {}, "no rows"),
        (people()[["buys"]], "buys", {}, "no column beside the target 'buys'"),
        (HOLE, "buys", {}, "'buys' is empty in 2 rows, the first is row 4 .*leave_out=..empty"),
        (people().assign(buys="no"), "buys", {}, "target 'buys' is 'no' in every row"),
        (INFINITE, "buys", {}, "column 'income' cannot be made inputs and is infinite in row 7"),
        (
            people().assign(income=[f"{i}.5" if i else "none yet" for i in range(N)]),
            "buys",
            {"split_seed": 1},
            "numbers, and 'none yet'; leave such cells empty",
        ),
        (
            people().assign(**{"job=cook": 1.0}),
            "buys",
            {},
            "two inputs would be called 'job=cook': rename column 'job=cook'",
        ),
        (people().assign(income=1e306 * people()["spent"]), "buys", {}, "too large to"),
        (NAMES, "buys", {}, "column 'name' cannot be made inputs and is text with 120 diff"),
        (NAMES, "name", {}, "the target 'name' is text with 200 different"),
        (SELDOM, "buys", {}, "column 'income' .* is empty in every row of the train part"),
        (EMPTY, "buys", {"dates": ["income"]}, "'income' is to be dates and is empty in every row"),
        (EMPTY[["income", "buys"]], "buys", {}, "every column beside the target 'buys' is empty"),
        (RARE, "buys", {}, "too rare are 'yes' .1 row.: merge .*leave_out=..rare"),
        (people(), "job", {"kind": "regression"}, "target 'job' is no number .*no regression"),
        (people(), "job", {"kind": "regresion"}, "kind must be auto, classification or"),
        (people().rename(columns={"age": "job"}), "buys", {}, "two columns are called 'job'"),
    ],
)
def test_tables_that_are_refused(table, target, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(table, target, **settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "bad.csv is empty"), (b"\xff\xfe\x00", "file in UTF-16: .*damaged or missing"),
     (b"a,b\n1,2\n1,2,3\n", "bad.csv is not a table"),
     (b"a,b\n1,2,\n3,4,\n", "more cells in its rows than names"),
     (b"n,a,b\n0,2.5,x,\n1,4.5,y,\n2,1.5,x,\n", "more cells in its rows than names"),
     (b"n,a,b\n0,2.5,x,\n1,4.5,y\n2,1.5,x\n", "more cells in its rows than names"),
     (b"a,b, a\n1,2,3\n", "two columns are called 'a'")],
)  # fmt: skip
def test_files_that_are_refused(tmp_path, content, message):
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(file)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="is an address, not a file"):
        read_table("https://example.org/people.csv")


# What is left out, and what is said


def test_all_columns_that_cannot_be_used_are_named_at_once():
    table = people().assign(
        **{"Full name": [f"person {i}" for i in range(N)]},
        day=pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"),
        ticket=[f"{i}" if i % 3 else f"B/7 {i}" for i in range(N)],
    )
    with pytest.raises(ValueError) as error:
        prepare(table, "buys")
    said = str(error.value)
    assert said.startswith("3 columns cannot be made inputs: 'Full name' is text with 120 diff")
    way = ". Leave out drop=['Full name', 'ticket'], and take the parts of dates=['day']"
    assert said.endswith(way), "who pastes it loses no date"
    assert "--drop 'Full name' ticket, " in in_options(said, {"drop": "--drop"})
    assert "leave such cells empty" not in said, "a ticket is no number with gaps"
    assert "dates=['day']" in said
    drop = ["Full name", "day", "ticket"]
    assert prepare(table, "buys", drop=drop).features == prepare(people(), "buys").features


def test_rare_classes_are_named_with_what_helps():
    classes = ["a"] * 120 + ["b"] * 77 + ["c"] + ["d"] * 2
    table = people().drop(columns="buys").assign(bag=classes)
    with pytest.raises(
        ValueError, match=r"too rare are 'c' \(1 row\), 'd' \(2 rows\): merge"
    ) as error:
        prepare(table, "bag")
    assert "leave_out=['rare']" in str(error.value) and "regression" not in str(error.value)
    ready = prepare(table, "bag", leave_out=["rare"])
    assert ready.classes == ("a", "b") and ready.left_out["of rare classes"] == 3
    assert set(np.concatenate(list(ready.rows.values()))) == set(range(197))
    counts = people().assign(visits=[7 if i == 0 else i % 4 for i in range(N)])
    with pytest.raises(ValueError, match=r"'visits' .*7 .1 row.*kind='regression'"):
        prepare(counts, "visits")
    assert prepare(counts, "visits", kind="regression").classes == ()


def test_the_target_is_no_input_whatever_it_is_called():
    """Also where a column of dates makes another table, whose names are text."""
    days = pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    table = pd.DataFrame({3: range(60), "day": days, "hole": np.nan, 7: [0.5, 1.5, 3] * 20})
    ready = prepare(table, 3, kind="regression", dates=["day"])
    assert [name for name in ready.features if not name.startswith("day")] == ["7"]
    assert prepare(table, 3, kind="regression", drop=["day"]).features == ("7",)


def test_rows_without_a_target_are_left_out_on_demand():
    hole = HOLE.assign(buys=HOLE["buys"].mask(HOLE.index % 2 == 0, "yes"))
    ready = prepare(hole, "buys", leave_out=["empty"])
    assert ready.left_out["without a target"] == 1
    rows = np.sort(np.concatenate(list(ready.rows.values())))
    assert rows.tolist() == [i for i in range(N) if i != 9], "rows are those of the table"
    with pytest.raises(ValueError, match="unknown reason to leave out rows 'empt'"):
        prepare(HOLE, "buys", leave_out=["empt"])


def test_the_positive_class_is_chosen_and_said():
    first = prepare(people(), "buys")
    other = prepare(people(), "buys", positive="no")
    assert (first.classes, other.classes) == (("no", "yes"), ("yes", "no"))
    np.testing.assert_array_equal(first.parts["test"][1], 1 - other.parts["test"][1])
    assert (first.about()["positive"], other.about()["positive"]) == ("yes", "no")
    assert prepare(people(), "member", positive="FALSE").classes == (True, False)
    with pytest.raises(ValueError, match="unknown class 'ys'; did you mean 'yes'"):
        prepare(people(), "buys", positive="ys")
    with pytest.raises(ValueError, match="one of two, and 'job' has 3"):
        prepare(people(), "job", positive="cook")
    with pytest.raises(ValueError, match="the target 'spent' is a number"):
        prepare(people(), "spent", positive="1")


def test_dates_become_their_parts():
    days = pd.date_range("2019-11-25", periods=N, freq="36h")
    table = people().assign(day=days.strftime("%d/%m/%Y %H:%M"), stamp=days)
    ready = prepare(table, "buys", dates=["day", "stamp"])
    names = [
        f"{c} {p}" for c in ("day", "stamp") for p in ("year", "month", "day", "weekday", "hour")
    ]
    assert [name for name in ready.features if name.split()[0] in ("day", "stamp")] == names
    for column in ("day", "stamp"):
        month = ready.parts["test"][0][:, ready.features.index(f"{column} month")]
        want = days.month.to_numpy()[ready.rows["test"]]
        assert np.corrcoef(month, want)[0, 1] > 0.999
    with pytest.raises(ValueError, match=r"column 'job' is no date that is known"):
        prepare(table, "buys", drop=["stamp", "day"], dates=["job"])


def test_dates_that_can_be_read_in_two_ways_are_asked():
    days = [f"{1 + i % 12:02d}/{1 + i // 20:02d}/2020" for i in range(N)]
    table = people().assign(day=days)
    with pytest.raises(ValueError, match=r"'day' can be read as %d/%m/%Y and as %m/%d/%Y: give"):
        prepare(table, "buys", dates=["day"])
    one = prepare(table, "buys", dates={"day": "%d/%m/%Y"})
    two = prepare(table, "buys", dates=["day=%d/%m/%Y"])
    assert one.features == two.features and "day month" in one.features
    with pytest.raises(ValueError, match="has '01/01/2020', which is no date as %Y"):
        prepare(table, "buys", dates=["day=%Y"])


def test_what_became_of_the_table_is_said(tmp_path):
    file = tmp_path / "people.csv"
    table = people().assign(
        same=1, number=range(1, N + 1), code=np.random.default_rng(0).permutation(N)
    )
    table.assign(rate=[f"{i % 9}%" for i in range(N)], gap=["-"] * 3 + list(range(N - 3))).to_csv(
        file
    )
    task = table_task(file, "buys", drop=["job"])
    about = json.loads(json.dumps(task.about))
    columns = {column["name"]: column for column in about["columns"]}
    assert columns["Unnamed: 0"]["became"] == "left out"
    assert columns["job"] == {"name": "job", "became": "left out", "inputs": 0, "note": "as asked"}
    assert columns["buys"]["became"] == "target" and columns["member"]["became"] == "booleans"
    for name, note in {
        "same": "the same in every row",
        "number": "numbers the rows",
        "code": "whole and different in every row",
        "rate": "without its '%'",
        "gap": "'-' is an empty cell",
    }.items():
        assert note in columns[name]["note"], name
    shares = table["buys"].value_counts().to_dict()
    assert about["classes"] == shares and about["rows"] == N and about["positive"] == "yes"
    valid = task.valid["targets"]
    assert about["baseline"]["answer"] == "no"
    assert about["baseline"]["valid_accuracy"] == pytest.approx((valid == 0).mean())
    said = "\n".join(telling.lines(about))
    assert (
        f"classes: no {shares['no'] / N:.1%}, yes {shares['yes'] / N:.1%}; positive is yes" in said
    )
    assert f"always answering no: accuracy {(valid == 0).mean():.3f} valid" in said
    assert "  number: numbers (numbers the rows" in said
    number = prepare(people(), "spent").about()["baseline"]
    assert number["valid_loss"] == pytest.approx(1, abs=0.4)


def test_a_constant_that_is_no_binary_number_is_constant():
    """The deviation of 0.1, 0.1, ... is 1e-17; a change in another part would be 1e16 of them."""
    table = people().assign(same=0.1)
    ready = prepare(table, "buys")
    table.loc[ready.rows["valid"], "same"] = 0.2
    values = prepare(table, "buys").parts["valid"][0][:, ready.features.index("same")]
    np.testing.assert_allclose(values, 0.1, rtol=1e-6)


# The command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    people().to_csv("people.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--csv", "people.csv"], "--target: one of age, income, job, member, buys, spent, stars"),
        (["--csv", "people.csv", "--target", "buy"], "did you mean 'buys'"),
        (["--csv", "none.csv", "--target", "buys"], "none.csv: no such file or directory"),
        (["--target", "buys"], "--target is of a table: give --csv FILE too"),
        (["--kind", "regression", "--sep", ";"], "--kind and --sep are of a table: give --csv"),
        (["--csv", "people.csv", "--target", "buys", "--positive", "y"], "unknown class 'y'"),
        (["--csv", "people.csv", "--target", "buys", "--dates", "age"], "'age' is no date"),
        (["--csv", "people.csv", "--target", "job", "--kind", "regression"], "no regression"),
        (
            ["--csv", "people.csv", "--target", "b", "--sep", "tab"],
            "are split by tabs",
        ),
        (["--csv", "people.csv", "--target", "buys", "--task", "line"], "either --task or --csv"),
    ],
)
def test_bad_input_is_one_sentence(folder, capsys, args, words):
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *args])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.count("\n") == 1
    assert not (folder / "runs").exists()


def test_a_csv_is_compared_and_replayed(folder, capsys, monkeypatch):
    answer = Answer(dict)  # no page is written
    monkeypatch.setattr("jaxopt_course.cli.training.show", lambda directory, **told: answer)
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])  # each compiles anew
    table = ["--csv", "people.csv", "--target", "buys", "--drop", "income", "spent"]
    cli.main(["compare", *table, "--optimizers", "sgd", "--learning-rates", "1", "--seeds", "1",
              "--epochs", "1", "--confirm", "0", "--lanes", "1"])  # fmt: skip
    said = capsys.readouterr().out
    assert "positive is yes" in said and "income: left out (as asked)" in said
    study = joc.Study.load(folder / "runs" / "people-1")
    assert study.manifest["task"]["name"] == "people" and len(study.trials) == 1
    cli.main(["replay", "runs/people-1", "0", *table])
    assert capsys.readouterr().out.count("the same bits") >= 3
    with pytest.raises(SystemExit):
        cli.main(["replay", "runs/people-1", "0"])
    assert "own task" in capsys.readouterr().err


def test_a_piped_table_is_compared_and_given_again(folder, capsys, monkeypatch):
    """By its data, whatever its file is called; the command to repeat says what it lacks."""
    answer = Answer(dict)  # no page is written
    monkeypatch.setattr("jaxopt_course.cli.training.show", lambda directory, **told: answer)
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])  # each compiles anew
    table = ["--csv", "-", "--target", "buys"]
    asked = ["compare", *table, "--optimizers", "sgd", "--learning-rates", "1", "--seeds", "1",
             "--epochs", "1", "--confirm", "0", "--lanes", "1"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["jaxopt-course", *asked])
    with open("people.csv") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        cli.main(asked)
    assert "from standard input: " in capsys.readouterr().out
    study = joc.Study.load(folder / "runs" / "stdin-1")
    assert study.manifest["command"].startswith("jaxopt-course compare --csv - --target buys")
    with pytest.raises(SystemExit):
        cli.main(["replay", "runs/stdin-1", "0"])
    paste = "jaxopt-course replay runs/stdin-1 0 --csv - --target buys < TABLE.csv"
    assert capsys.readouterr().err.strip().endswith(paste)
    cli.main(["replay", "runs/stdin-1", "0", "--csv", "people.csv", "--target", "buys"])
    assert capsys.readouterr().out.count("the same bits") >= 3
    people().head(100).to_csv("others.csv", index=False)
    with pytest.raises(SystemExit):
        cli.main(["replay", "runs/stdin-1", "0", "--csv", "others.csv", "--target", "buys"])
    assert "the data of the task 'stdin' are not those" in capsys.readouterr().err


def test_a_table_says_the_scale_of_its_target():
    table = pd.DataFrame({"a": np.arange(40.0), "y": np.arange(40.0) * 3})
    target = table_task(table, "y").about["target"]
    task = table_task(table, "y", loss=lambda outputs, targets: abs(outputs[:, 0] - targets))
    assert target["name"] == "y" and "target" not in task.about
    ready = prepare(table, "y")
    seen = table["y"].iloc[ready.rows["train"]]
    assert target["scale"] == ready.scale == pytest.approx(seen.std(ddof=0))


IDS = [98765432109876543210 + 7 * i for i in range(60)]  # 20 digits


def test_a_target_of_whole_numbers_beyond_64_bits(tmp_path):
    table = pd.DataFrame({"x": range(60), "y": IDS})
    table.to_csv(tmp_path / "ids.csv", index=False)
    for given in (read_table(tmp_path / "ids.csv"), table):
        ready = prepare(given, "y")
        assert ready.classes == ()
        own = np.concatenate([ready.parts[part][1] for part in PARTS])
        rows = np.concatenate([ready.rows[part] for part in PARTS])
        exact = np.arange(60.0)[rows]  # y is linear in the row
        train = np.arange(60.0)[ready.rows["train"]]
        np.testing.assert_allclose(own, (exact - train.mean()) / train.std(), rtol=1e-6)
    few = prepare(table.assign(y=[IDS[i % 3] for i in range(60)]), "y")
    assert few.classes == (IDS[0], IDS[1], IDS[2])


@pytest.mark.parametrize("size", [1e-300, 1e-320, 1e-200, 1e-160])
def test_numbers_whose_squares_are_0_are_standardised(size, tmp_path):
    steps = np.random.default_rng(0).integers(1, 1_000, 200)
    table = pd.DataFrame({"x": steps * size, "plain": steps, "y": steps * size})
    table.to_csv(tmp_path / "small.csv", index=False)
    task = table_task(tmp_path / "small.csv", "y")
    near = {"atol": 2e-2 if size == 1e-320 else 1e-6}  # which has three digits itself
    for part in (task.train, task.valid, task.test):
        np.testing.assert_allclose(part["inputs"][:, 0], part["inputs"][:, 1], **near)
        np.testing.assert_allclose(part["targets"], part["inputs"][:, 1], **near)


def test_numbers_that_are_no_longer_apart_are_said():
    rng = np.random.default_rng(0)
    fine = rng.normal(size=200)
    heavy = 10.0 ** rng.uniform(-300, 0, 200)
    outlier = np.append(np.arange(199.0), 1e20)
    table = pd.DataFrame({"fine": fine, "heavy": heavy, "outlier": outlier, "y": outlier[::-1]})
    notes = {column.name: column.note for column in prepare(table, "y").columns}
    assert "apart" not in notes["fine"]
    for name in ("heavy", "outlier", "y"):
        assert "of its 200 different numbers" in notes[name] and "logarithms" in notes[name]
    gaps = table.assign(outlier=np.where(np.arange(200) % 9, outlier, np.nan))
    assert "of its 177 diff" in {c.name: c.note for c in prepare(gaps, "y").columns}["outlier"]


def test_a_target_too_large_to_standardise_is_refused():
    table = pd.DataFrame({"x": range(60), "y": [(-1) ** i * i * 1e306 for i in range(60)]})
    with pytest.raises(ValueError, match="target 'y' has numbers too large to standardise"):
        prepare(table, "y")


@pytest.mark.parametrize(
    "cells",
    [
        [Decimal(i) / 7 for i in range(N)],
        [None if i % 5 == 0 else Decimal(i) / 7 for i in range(N)],
        [Decimal("NaN") if i % 5 == 0 else Decimal(i) / 7 for i in range(N)],
        [Fraction(i, 7) for i in range(N)],
        [10**30 if i % 2 else i / 7 for i in range(N)],
        [pd.NA if i % 5 == 0 else np.float32(i) / 7 for i in range(N)],
        pd.to_timedelta(np.arange(N) / 7, "s"),
    ],
)
def test_numbers_without_a_dtype_are_numbers(cells):
    """As data bases and Python give them; else each number would be a category of its own."""
    table = people()[["age", "buys"]].assign(own=cells)
    seen = [
        np.nan
        if pd.isna(c)
        else c / pd.Timedelta(1, "s")
        if isinstance(c, pd.Timedelta)
        else float(c)
        for c in cells
    ]
    ready, plain = prepare(table, "buys"), prepare(table.assign(own=seen), "buys")
    assert ready.features == plain.features
    for part in PARTS:
        np.testing.assert_allclose(ready.parts[part][0], plain.parts[part][0], rtol=1e-6)
    if not pd.isna(seen).any():
        goal, as_floats = (prepare(t, "own") for t in (table, table.assign(own=seen)))
        assert goal.classes == () and np.isclose(goal.center, as_floats.center)


@pytest.mark.parametrize("kind", [str, int, pd.Categorical, lambda c: pd.cut(c, [0, 1, 2, 3])])
def test_rare_rows_of_any_kind_of_target_are_left_out(kind):
    codes = pd.Series([1] * 120 + [2] * 77 + [3] * 3)
    column = codes.map(kind) if kind in (str, int) else pd.Series(kind(codes))
    ready = prepare(people()[["age"]].assign(y=column), "y", leave_out="rare")
    assert len(ready.classes) == 2 and ready.left_out["of rare classes"] == 3


def levels(target):
    table = people()[["age", "buys"]]
    return table.set_axis(pd.MultiIndex.from_tuples([("age", ""), target]), axis=1)


@pytest.mark.parametrize(
    ("table", "target", "how", "words"),
    [
        ({"x": [1, 2]}, "x", {}, "a table is a pandas.DataFrame, not dict"),
        (np.ones((9, 2)), 1, {}, "a table is a pandas.DataFrame, not ndarray"),
        (pd.Series([1, 2], name="x"), "x", {}, "a table is a pandas.DataFrame, not Series"),
        (pd.DataFrame(np.ones((9, 2))), "1", {}, "the column '1' is called 1: give it as that"),
        (people().assign(z=1 + 1j), "buys", {}, "column 'z' is complex: give its parts"),
        (people().assign(z=[[1]] * N), "z", {}, "the target 'z' holds lists or the like"),
        (people(), "buys", {"dates": ["buys"]}, "'buys' is the target, so it is no input"),
        (people(), "buys", {"dates": "job", "drop": "job"}, "'job' is in drop= and in dates="),
        (people(), "buys", {"drop": "jobs"}, "unknown column 'jobs'; did you mean 'job'?"),
        # a part of a name of two levels was the target, and the whole one an input
        (levels(("buys", "")), "buys", {}, r"unknown column 'buys' \(known: \('age"),
        (levels(("buys", "now")), "buys", {}, "unknown column 'buys'"),
        (people().rename(columns={"buys": np.nan}), np.nan, {}, "called nan cannot be asked for"),
        (
            xr.Dataset({"x": ("n", [1])}),
            "x",
            {},
            r"not Dataset of xarray: give table.to_pandas\(\)",
        ),
    ],
)
def test_what_cannot_be_prepared_is_one_sentence(table, target, how, words):
    with pytest.raises(ValueError, match=words):
        prepare(table, target, **how)


def test_a_target_of_two_levels_is_no_input():
    ready = prepare(levels(("buys", "")), ("buys", ""))
    assert ready.features == ("('age', '')",)


@pytest.mark.parametrize("kind", [">f8", ">i4", ">u2"])
def test_bytes_of_other_machines_are_the_same_numbers(kind):
    """As astropy and R's exports have them; pandas 2 fails on such a column."""
    plain = people()[["buys"]].assign(x=np.arange(N) % 7)
    ours, theirs = prepare(plain.assign(x=plain["x"].astype(kind)), "buys"), prepare(plain, "buys")
    for part in PARTS:
        np.testing.assert_array_equal(ours.parts[part][0], theirs.parts[part][0])
    assert prepare(plain.assign(x=plain["x"].astype(kind)), "x").classes == tuple(range(7))


@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize(
    ("kind", "cells", "plain"),
    [
        ("bool", np.arange(N) % 3 == 0, bool),
        ("duration[s]", np.arange(N) % 40, float),
        ("decimal128(9, 2)", np.arange(N) % 40, float),
        ("dictionary<values=string, indices=int32>", np.array(list("abc"))[np.arange(N) % 3], str),
    ],
)
def test_arrows_dtypes_are_as_pandas_has_them(kind, cells, plain, target):
    """Durations were categories; a target of most of them an error of pandas's insides."""
    arrow = pytest.importorskip("pyarrow")
    column = {
        "bool": lambda: arrow.array(cells),
        "duration[s]": lambda: arrow.array(cells, arrow.duration("s")),
        "decimal128(9, 2)": lambda: arrow.array([Decimal(int(c)) for c in cells]),
    }.get(kind, lambda: arrow.array(list(cells)).dictionary_encode())()
    table = pd.DataFrame({"o": np.arange(N) / 7, "x": pd.arrays.ArrowExtensionArray(column)})
    same = table.assign(x=cells.astype(plain))
    name = "x" if target else "o"
    ours, theirs = prepare(table, name), prepare(same, name)
    assert ours.features == theirs.features and ours.classes == theirs.classes
    for part in PARTS:
        for mine, wanted in zip(ours.parts[part], theirs.parts[part], strict=True):
            np.testing.assert_array_equal(mine, wanted)
    lists = table.assign(x=pd.arrays.ArrowExtensionArray(arrow.array([[1, 2]] * N)))
    with pytest.raises(ValueError, match="holds lists or the like"):
        prepare(lists, name)
