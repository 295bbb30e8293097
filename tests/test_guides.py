"""README and the guides are true: the code runs, commands parse, links lead somewhere.

A page is Markdown; what its fences mean is said in experiments/guides/README.md.
"""

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import jax
import pytest
import tyro
from long_form import only

import jaxopt_course as joc
from jaxopt_course import cli, devices
from jaxopt_course.sweeps import program

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "experiments" / "guides"
INDEX = GUIDES / "README.md"
CONTRIBUTING = ROOT / "experiments" / "contributing.md"
PAGES = [ROOT / "README.md", *sorted(GUIDES.rglob("*.md")), CONTRIBUTING]
PROSE = [*PAGES, ROOT / "experiments" / "README.md", ROOT / "experiments" / "changelog.md"]
FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1[ ]*$", re.M | re.S)
NO_RUN = re.compile(r"python no-run: (\S.*)")
name_of = lambda page: str(page).removeprefix(f"{ROOT}/")
QUICK = {"README", "command_line", "groups", "house", "ports", "speed"}
SHORT = [page for page in PAGES if page.stem in QUICK]  # of the others the code runs in `long`


class Block(NamedTuple):
    """A fenced block: the words after the backticks, its text, its line, whether it follows one."""

    info: str
    text: str
    line: int
    follows: bool  # only blank lines since the block before


def blocks(text: str) -> list[Block]:
    found, end = [], None
    for match in FENCE.finditer(text):
        follows = end is not None and not text[end : match.start()].strip()
        line = text[: match.start(3)].count("\n")
        found.append(Block(match[2].strip(), match[3], line, follows))
        end = match.end()
    return found


def prose(text: str) -> str:
    """The page without its blocks and without code in its lines."""
    return re.sub(r"`+[^`]*`+", "", FENCE.sub("", text))


@pytest.fixture
def one_quick_device(monkeypatch):
    """JAX has started, with four devices, before pages can choose; one compiles in less time."""
    first = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda *_, **__: first)
    monkeypatch.setattr(devices, "use_cpu_cores", lambda n=None: 1)
    monkeypatch.setattr(program, "CPU_EFFORT", ({}, {}))
    with jax.numpy_rank_promotion("allow"):  # as people have it
        yield


def run(page: Path) -> list[str]:
    """Run the blocks of a page; what each printed block should have been compared with."""
    space: dict = {"__name__": "guide"}
    wrong, printed = [], None
    check = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.info == "python":
            code = compile("\n" * block.line + block.text, name_of(page), "exec")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, space)
            printed = out.getvalue()
        elif block.info == "" and block.follows and printed is not None:
            if not check.check_output(block.text, printed, flags):
                wrong.append(f"line {block.line}: printed is\n{printed}\nnot\n{block.text}")
            printed = None
        else:
            printed = None
    return wrong


@pytest.mark.parametrize("page", only(SHORT, PAGES), ids=name_of)
def test_a_page_runs_and_prints_what_it_says(page, tmp_path, monkeypatch, one_quick_device):
    monkeypatch.chdir(tmp_path)
    assert run(page) == []


def test_a_page_that_is_wrong_is_found(tmp_path):
    """The test above can fail."""
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```\n2\n```\n", encoding="utf-8")
    assert len(run(page)) == 1
    page.write_text("# 1\n\n```python\nx = 1\nassert x == 2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError) as caught:
        run(page)
    assert caught.traceback[-1].lineno + 1 == 5  # of the page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_not_run_says_why(page):
    text = page.read_text(encoding="utf-8")
    for block in blocks(text):
        if block.info.startswith("python") and block.info != "python":
            reason = NO_RUN.fullmatch(block.info)
            assert reason, f"line {block.line}: {block.info!r} is neither python nor no-run"
            assert reason[1] in prose(text), (
                f"line {block.line}: the page does not say {reason[1]!r}"
            )
    infos = {block.info for block in blocks(text) if not block.info.startswith("python")}
    assert infos <= {"", "sh"}


class Parsed(BaseException):
    """The command line was understood."""


def commands(text: str) -> list[list[str]]:
    """The arguments of each ``jaxopt-course`` in the blocks ``sh``."""
    found = []
    for block in blocks(text):
        if block.info != "sh":
            continue
        for line in block.text.splitlines():
            for part in re.split(r"&&|\|\||[;|]", line):
                words = shlex.split(part, comments=True)
                names = [i for i, word in enumerate(words) if Path(word).name == "jaxopt-course"]
                if names:
                    found.append(words[names[0] + 1 :])
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page, monkeypatch):
    real = tyro.cli

    def parse(*arguments, **settings):
        raise Parsed(real(*arguments, **settings))

    monkeypatch.setattr(tyro, "cli", parse)
    for arguments in commands(page.read_text(encoding="utf-8")):
        with pytest.raises(Parsed):
            cli.main(arguments)


def test_there_are_commands_and_a_wrong_one_is_found(monkeypatch):
    counts = [len(commands(page.read_text(encoding="utf-8"))) for page in PAGES]
    assert sum(counts) > 10
    with pytest.raises(SystemExit):
        cli.main(["compare", "--no-such-option"])


def targets(text: str) -> list[str]:
    """What a page links to, but for the web."""
    links = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub names them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_every_link_leads_somewhere(page):
    broken = []
    for link in targets(page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        there = page.parent / file if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_every_public_name_exists(page):
    names = set(re.findall(r"\bjoc\.(\w+)", page.read_text(encoding="utf-8")))
    assert names - set(joc.__all__) == set()


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_every_file_named_is_there(page):
    """Files of tests, guides and benchmarks that stand in a page as code."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:tests|experiments|jaxopt_course)/[\w/.-]*\w\.(?:py|md|png)\b", text)
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_every_guide_is_in_the_index_and_the_index_in_readme():
    listed = targets(INDEX.read_text(encoding="utf-8"))
    there = {file.name for file in GUIDES.iterdir() if file.suffix in (".md", ".py")}
    assert there - {INDEX.name} <= set(listed)
    for above in (ROOT / "README.md", ROOT / "experiments" / "README.md"):
        found = targets(above.read_text(encoding="utf-8"))
        assert INDEX in [(above.parent / link).resolve() for link in found]


def test_the_matrix_is_the_published_one():
    shown = re.search(
        r"<!-- tests/tables/parity.md -->\n(.*?)<!-- end -->",
        (GUIDES / "ports.md").read_text(encoding="utf-8"),
        re.S,
    )
    table = (ROOT / "tests" / "tables" / "parity.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert shown is not None and len(rows) > 14
    assert [line for line in shown[1].splitlines() if line.startswith("|")] == rows
