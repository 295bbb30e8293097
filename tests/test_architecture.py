"""The folder tree tells the story: data flows one way, and so do the imports."""

import ast
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
    "transforms": {"tree", "base", "describe", "schedules"},
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
    "inspection": {"tree", "base", "describe", "transforms"},
    "problems": {"tree", "messages"},
    "train": {"tree", "base", "problems"},
    "tables": {
        "base",
        "conventions",
        "messages",
        "problems",
        "schedules",
        "train",
        "transforms",
    },
    "sweeps": set(),  # numbers and pure functions: neither optimizers nor data sets nor disks
    "records": set(),  # files: arrays, frames and plain dictionaries
    "report": {"records"},  # what it needs of files, never jax
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
        "messages",
        "problems",
        "records",
        "report",
        "sweeps",
        "tables",
        "train",
    },
    "course": {
        "conventions",
        "messages",
        "optimizers",
        "problems",
        "report",
        "transforms",
        "tree",
    },
    "cli": {
        "course",
        "devices",
        "problems",
        "records",
        "report",
        "studies",
        "sweeps",
        "tables",
        "train",
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


def test_the_report_reads_files_only():
    for file in (PACKAGE / "report").glob("*.py"):
        outside = {n for n in imports(file) if n.startswith("jaxopt_course.sweeps")}
        assert outside <= {"jaxopt_course.records.store"}, file
        assert not any(name.split(".")[0] in ("jax", "flax", "optax") for name in imports(file))


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_the_package_imports_no_jax():
    assert run("import sys, jaxopt_course; print('jax' in sys.modules)") == "False\n"


def test_importing_everything_starts_no_device():
    code = (
        "import jaxopt_course as joc\n"
        "for name in joc.__all__: getattr(joc, name)\n"
        "print(joc.use_cpu_cores(3))\n"  # would raise if JAX had started
        "import jax; print(jax.device_count())"
    )
    assert run(code) == "3\n3\n"


def test_public_names_stay_what_they_are_once_their_modules_are_loaded():
    """A submodule of the same name would take the place of a function."""
    code = (
        "import jaxopt_course as joc\n"
        "for _ in range(2):\n"
        "    print({n for n in joc.__all__ if type(getattr(joc, n)).__name__ == 'module'})"
    )
    assert run(code) == "set()\nset()\n"


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
