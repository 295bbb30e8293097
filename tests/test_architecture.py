"""The folder tree tells the story: data flows one way, and so do the imports."""

import ast
import functools
import graphlib
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jaxopt_course"
MAY_IMPORT = {  # part -> the parts below it
    "messages": set(),
    "devices": set(),
    "tree": set(),
    "base": {"tree"},
    "describe": {"tree", "base"},
    "schedules": {"tree", "base"},
    "transforms": {"tree", "base", "describe", "messages", "schedules"},
    "optimizers": {"base", "describe", "schedules", "transforms"},
    "conventions": {
        "tree",
        "base",
        "describe",
        "messages",
        "schedules",
        "transforms",
        "optimizers",
    },
    "inspection": {"tree", "base", "describe", "messages", "transforms"},
    "problems": {"tree", "messages"},
    "updating": {"tree", "base"},
    "train": {"tree", "base", "inspection", "problems", "transforms", "updating"},
    "tables": {
        "base",
        "conventions",
        "describe",
        "messages",
        "optimizers",
        "problems",
        "schedules",
        "train",
        "transforms",
        "updating",
    },
    "sweeps": set(),  # numbers and pure functions: neither optimizers nor data sets nor disks
    "records": set(),  # files: arrays, frames and plain dictionaries
    "report": {"messages", "records"},  # what it needs of files, never jax
    "exports": {"messages", "records", "report"},  # frames of a study, never jax
    "search": {
        "conventions",
        "messages",
        "problems",
        "report",
        "studies",
        "sweeps",
        "records",
        "tables",
        "train",
    },
    "studies": {
        "conventions",
        "exports",
        "inspection",
        "messages",
        "problems",
        "records",
        "report",
        "schedules",
        "sweeps",
        "tables",
        "train",
        "tree",
        "updating",
    },
    "course": {
        "conventions",
        "messages",
        "optimizers",
        "problems",
        "records",
        "report",
        "transforms",
        "tree",
    },
    "site": {"course", "records"},
    "clusters": {"records", "sweeps"},  # a sweep's own messages, and whose machine it is
    "live": {"messages", "records", "report", "studies"},
    "cli": {
        "clusters",
        "course",
        "devices",
        "live",
        "messages",
        "problems",
        "records",
        "report",
        "site",
        "studies",
        "sweeps",
        "tables",
        "train",
    },
    "testing": {
        "base",
        "problems",
        "studies",
        "sweeps",
        "train",
        "tree",
        "updating",
    },
    "__main__": {"cli"},
}
MODULES = sorted(f for f in PACKAGE.rglob("*.py") if f != PACKAGE / "__init__.py")


def imports(file: Path) -> set[str]:
    """Dotted names that ``file`` imports, at its top or inside its functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_down(file):
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    ours = {n.split(".")[1] for n in imports(file) if n.startswith("jaxopt_course.")}
    assert ours <= MAY_IMPORT[part] | {part}


def says_encoding(call: ast.Call) -> bool:
    place = {"read_text": 0, "write_text": 1}[call.func.attr]
    return len(call.args) > place or any(one.arg == "encoding" for one in call.keywords)


def test_text_is_read_and_written_in_an_encoding_that_is_said():
    """The system's own is another one on Windows."""
    calls = [
        (file.name, node)
        for file in MODULES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("read_text", "write_text")
    ]
    assert len(calls) > 10
    assert [f"{name}:{call.lineno}" for name, call in calls if not says_encoding(call)] == []


def module_name(file: Path) -> str:
    """``.../jaxopt_course/tables/space.py`` -> ``jaxopt_course.tables.space``."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(files: list[Path]) -> dict[str, set[str]]:
    """Module -> the others of ``files`` that it imports, anywhere in it, for types too."""
    modules = {module_name(file): file for file in files}

    def module_of(name: str) -> str | None:
        """The longest head of a dotted name that is a module: it names what is inside, too."""
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name or None

    return {
        module: {found for name in imports(file) if (found := module_of(name))} - {module}
        for module, file in modules.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle, each importing the next, the first again at the end; else []."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]  # it lists who is imported before who imports
    return []


def test_the_parts_stand_above_one_another():
    assert circle(MAY_IMPORT) == []


def test_no_module_comes_round_to_itself():
    """Inside folders too, which the table above does not see; nor by way of the facade."""
    graph = import_graph(sorted(PACKAGE.rglob("*.py")))
    assert sum(map(len, graph.values())) > len(graph)  # it sees imports at all
    found = circle(graph)
    assert not found, f"a circle of imports: {' -> '.join(found)}"


def test_a_circle_is_seen_and_told_in_the_order_of_its_imports(tmp_path, monkeypatch):
    package = tmp_path / "jaxopt_course"
    (package / "room").mkdir(parents=True)
    monkeypatch.setitem(globals(), "PACKAGE", package)
    sources = {
        "__init__.py": "",
        "room/__init__.py": "",
        "room/a.py": "from jaxopt_course.room import b",
        "room/b.py": "def f():\n    from jaxopt_course.room.c import g",
        "room/c.py": "import jaxopt_course.room.a",
        "room/d.py": "from jaxopt_course.room.a import x",  # it imports the circle, is not in it
    }
    for name, text in sources.items():
        (package / name).write_text(text)
    files = sorted(package.rglob("*.py"))
    told = circle(import_graph(files))
    a, b, c = (f"jaxopt_course.room.{name}" for name in "abc")
    assert told[0] == told[-1]
    assert {*itertools.pairwise(told)} == {(a, b), (b, c), (c, a)}
    (package / "room" / "c.py").write_text("")
    assert circle(import_graph(files)) == []
    (package / "__init__.py").write_text("from jaxopt_course.room.d import x")
    (package / "room" / "c.py").write_text("import jaxopt_course as joc")
    assert "jaxopt_course" in circle(import_graph(files))


def test_few_modules_stand_outside_the_rooms():
    loose = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert len(loose) <= 8, sorted(loose)


def test_no_file_is_long():
    """Beyond this two rooms share a door."""
    lines = {
        str(file.relative_to(PACKAGE)): len(file.read_text(encoding="utf-8").splitlines())
        for file in PACKAGE.rglob("*.py")
    }
    long = {name for name, count in lines.items() if count > 350}
    assert long == set()


def test_the_report_reads_files_only():
    for file in [f for room in ("report", "exports") for f in (PACKAGE / room).glob("*.py")]:
        outside = {n for n in imports(file) if n.startswith("jaxopt_course.sweeps")}
        assert outside <= {"jaxopt_course.records.store"}, file
        assert not any(name.split(".")[0] in ("jax", "flax", "optax") for name in imports(file))


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_the_package_imports_no_jax():
    assert run("import sys, jaxopt_course; print('jax' in sys.modules)") == "False\n"


@functools.cache
def loaded():
    """What a process says that asks for sweep, twice for every public name, then for devices."""
    code = (
        "import sys, jaxopt_course as joc\n"
        "joc.sweep; print('xarray' in sys.modules)\n"
        "for _ in range(2):\n"
        "    print({n for n in joc.__all__ if type(getattr(joc, n)).__name__ == 'module'})\n"
        "print(joc.use_cpu_cores(3))\n"  # would raise if JAX had started
        "import jax; print(jax.device_count())"
    )
    return run(code).splitlines()


@pytest.mark.long
def test_importing_everything_starts_no_device():
    assert loaded()[3:] == ["3", "3"]


def test_what_only_holds_curves_is_imported_with_the_first():
    assert loaded()[0] == "False"


def test_public_names_stay_what_they_are_once_their_modules_are_loaded():
    """A submodule of the same name would take the place of a function."""
    assert loaded()[1:3] == ["set()", "set()"]


def test_every_public_name_is_documented():
    import jaxopt_course as joc

    undocumented = [n for n in joc.__all__ if not (getattr(joc, n).__doc__ or "").strip()]
    assert undocumented == []


def test_type_checkers_see_the_names_that_run():
    import jaxopt_course as joc

    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {(node.module, alias.name) for node in block.body for alias in node.names}
    run = {(f"jaxopt_course.{module}", n) for n, module in joc._MODULE_OF.items()}
    assert seen == run
