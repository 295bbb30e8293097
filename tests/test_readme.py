"""README is short, its test command is one line, and its house is the one that stands.

That its code, commands and links are right is tests/test_guides.py's.
"""

import re
from pathlib import Path

from test_architecture import MODULES, PACKAGE, imports

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = 220  # a wall is read by nobody: what is more stands in experiments/guides


def test_it_is_short():
    assert len(README.splitlines()) <= LINES


def test_the_test_command_is_one_line():
    """CI runs it word for word; see .ci/run."""
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv-test ")]
    assert len(lines) == 1 and " && .venv-test/bin/python -m pytest " in lines[0]


def house(page):
    """The tree of the package, in a page: names of files and folders, in their order."""
    tree = re.search(r"^jaxopt_course/\n(.*?)(?=^\w|^```)", page, re.M | re.S)[1]
    names, room = [], ""
    for line in tree.splitlines():
        depth, entry = re.fullmatch(r"((?:│   |    )?)[├└]── (\S.*)", line).groups()
        for name in re.match(r"[\w./]+(?:, [\w./]+)*", entry)[0].split(", "):
            names.append((room if depth else "") + name)
        room = room if depth else entry.split()[0]
    return names


def test_every_room_is_shown_and_every_room_shown_is_there():
    there = {
        entry.name + "/" * entry.is_dir()
        for entry in PACKAGE.iterdir()
        if not entry.name.startswith(("_", ".")) and entry.name != "py.typed"
    }
    assert sorted(house(README)) == sorted(there)


def test_a_room_imports_those_above_it():
    order = [room.removesuffix("/").removesuffix(".py") for room in house(README)]
    for file in MODULES:
        part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        above = {*order[: order.index(part) + 1]} if part in order else set(order)
        ours = {name.split(".")[1] for name in imports(file) if name.startswith("jaxopt_course.")}
        assert ours <= above, file


def test_every_file_of_the_house_is_there():
    guide = (ROOT / "experiments" / "guides" / "house.md").read_text(encoding="utf-8")
    shown = house(guide)
    assert len(shown) > 40
    assert [name for name in shown if not (PACKAGE / name).exists()] == []
