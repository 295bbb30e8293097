"""The committed table of drawn mutants names what there is, and nobody in it lives."""

import ast
import os
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from mutant_sites import ROOT, SEED, Row, files, row_of, sites, table

PACKAGE = ROOT / "jaxopt_course"
ROWS = table()


def functions(file):
    """Dotted names of the functions and classes of a file, and "" for its top."""
    found = {""}

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            name = inside
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{inside}.{child.name}".lstrip(".")
                found.add(name)
            visit(child, name)

    visit(ast.parse(file.read_text("utf-8")), "")
    return found


@pytest.mark.parametrize("file", sorted({row.file for row in ROWS}))
def test_the_functions_of_the_table_are_there(file):
    """Where one is not: ``python tests/drawn_mutants.py draw run write`` draws anew."""
    assert file in files()
    assert {row.function for row in ROWS if row.file == file} <= functions(PACKAGE / file)


def test_the_tests_of_the_table_are_there():
    killers = {row.why.partition("[")[0] for row in ROWS if row.end == "killed"}
    for file in {name.partition("::")[0] for name in killers}:
        if file.startswith("tests/"):
            own = {name.partition("::")[2].replace("::", ".") for name in killers if file in name}
            assert own <= functions(ROOT / file), file


def test_nobody_lives_and_at_least_95_of_a_hundred_are_killed():
    ends = Counter(row.end for row in ROWS)
    assert set(ends) <= {"killed", "equivalent"}
    assert len(ROWS) == len({row.key for row in ROWS}) >= 150
    assert ends["killed"] >= 0.95 * len(ROWS)
    assert all(row.why for row in ROWS)


def test_the_guide_has_the_counts_of_the_table():
    ends = Counter(row.end for row in ROWS)
    text = " ".join((ROOT / "experiments" / "guides" / "promises.md").read_text("utf-8").split())
    assert f"{len(ROWS)} were drawn by chance (seed {SEED}" in text
    assert f"{ends['killed']} are killed, {ends['equivalent']} are equivalent, none" in text


QUICK = ("tests/test_space.py", "tests/test_report_tables.py", "tests/test_safetensors.py")
SAMPLE = [row for row in ROWS if row.why.startswith(QUICK)][:4]


def mutated(row: Row) -> str:
    """The file with the fault."""
    text = (PACKAGE / row.file).read_text("utf-8")
    for site in sites(text):
        if row_of(row.file, site, row.end, row.why) == row:
            return text[: site.start] + site.new + text[site.end :]
    raise LookupError(
        f"{row.file} has no longer {row.line!r}: python tests/drawn_mutants.py draw run write"
    )


@pytest.mark.long
@pytest.mark.parametrize("row", SAMPLE, ids=lambda row: f"{row.file}-{row.function}-{row.kind}")
def test_some_are_killed_again_by_the_test_that_the_table_names(row, tmp_path):
    for name in ("jaxopt_course", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "",
        row.why,
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = lambda: subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    whole = run()
    assert whole.returncode == 0, whole.stdout
    (tmp_path / "jaxopt_course" / row.file).write_text(mutated(row), "utf-8")
    assert run().returncode == 1  # tests failed; 2 and more: they were not run
