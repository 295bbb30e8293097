"""What an index shows, and what an install brings."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxopt_course"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
EXTRAS = {  # who needs it
    "course/": "course",
    "search/": "optuna",
    "report/optuna.py": "optuna",
    "report/measures/importance.py": "optuna",
    "live/": "live",
    "site/": "site",
    "clusters/": "ray",
    "sweeps/progress.py": "course",  # in a notebook IPython is there
    "problems/packaged.py": "tables",
}


def distribution(requirement: str) -> str:
    """``mdit-py-plugins`` of ``mdit_py_plugins[x]>=1``."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_no_link_of_the_description_is_relative():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    hook = SETTINGS["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for change in hook["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    links = re.findall(r"\]\(([^\s()]+)\)", text)
    assert len(links) >= 3
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    pictures = re.findall(r"!\[[^\]]*\]\(([^\s()]+)\)", text)
    assert pictures and all("/raw/" in picture for picture in pictures)


@pytest.mark.parametrize("part", ["", *EXTRAS])
def test_what_is_imported_is_declared(part):
    """A package that others happen to bring may be gone with their next release."""
    extras = PROJECT["optional-dependencies"]
    named = PROJECT["dependencies"] + (extras[EXTRAS[part]] if part else [])
    named += [other for name in named for other in extras.get(name[14:-1], ())]  # jaxopt-course[x]
    declared = {distribution(name) for name in named} | {"jaxopt-course"}
    installed = packages_distributions()
    files = [file.relative_to(PACKAGE).as_posix() for file in sorted(PACKAGE.rglob("*.py"))]
    of_extras = {file for file in files if file.startswith(tuple(EXTRAS))}
    mine = [file for file in files if file.startswith(part)] if part else set(files) - of_extras
    assert mine
    for file in mine:
        names = set()
        for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
        for name in names - sys.stdlib_module_names:
            makers = {distribution(d) for d in installed.get(name, [name])}
            assert makers & declared, f"{file} imports {name}, of {makers}"
