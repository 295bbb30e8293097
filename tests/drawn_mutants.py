"""Faults drawn at random places of the package, and which test notices each.

Run     python tests/drawn_mutants.py draw run check write          (those that are new)
        python tests/drawn_mutants.py again check write             (after a test was changed)
        python tests/drawn_mutants.py draw run check write --anew   (all: two hours of one core)
Result  tests/drawn_mutants.csv: each mutant with its end: killed (by which test), equivalent (why)

    draw    mutants, as ``mutant_sites.py`` has them: those of the table whose places are still
            there, and more, which are always the same ones of the same files
    run     puts one fault at a time into a copy and asks the examples of its file, the test that
            noticed it the last time, then the test files that are likely to know, those tests
            first that reach the statement, until one fails or ``--most`` files are asked; of whom
            the table has an end already nobody is asked, and whom somebody guesses in
            ``--work``/first.json (key to tests) is asked before all others
    again   asks once more about what survived
    check   whether those that noticed something pass where there is no fault
    write   puts the ends into the table; what survived and is equivalent keeps the reason that
            somebody wrote there

``--anew``: what the table has does not count, and draws and ends are of today's files and tests
alone.  What was done stands in ``--work``, and is not done again.  Every process is a fork of one
that has imported jax and the package; the compiled programs of all are kept there.  Examples,
guesses and the last time's tests are asked in a fork that changes the code of the function, without
importing the package again; with ``--most 0`` these alone are asked.
"""

import argparse
import ast
import contextlib
import csv
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path

import pytest
from mutant_sites import COUNT, ROOT, TABLE, Row, Site, drawn, files, row_of, table
from reached import Reached, instrument

CPU_SECONDS = 120  # then a mutant has come to no end
SECONDS = 60  # of tests that a mutant may take, as they take without one
QUIET = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
NAMED = ["-m", ""]  # whom the table names is asked also where the default run leaves him out
# long ways to what others ask directly
NOT_ASKED = ("course", "site", "live", "lessons", "guides", "flax_guides", "playgrounds", "ray")
NOT_ASKED += ("drawn", "openml", "readme", "packaging", "benchmarks", "page_browser", "submitit")
NOT_ASKED += ("architecture", "golden_live", "errata", "csv", "notebook", "problems", "landscape")
NOT_ASKED += ("convolution", "surfaces", "bundled", "packaged", "optuna", "robustness")
# who is likely to know of a folder
KNOWING = {
    "conventions": ("conventions_ports", "conventions_like", "conventions_pairing"),
    "records": ("records", "weights", "resume"),
    "report": ("report_tables", "report_verdict", "report_page"),
    "sweeps": ("engine", "resume", "testing", "judges"),
    "tables": ("tables", "columns", "own_optimizers", "buckets"),
    "transforms": ("transforms_contract", "optax_alias", "optimizers_parity"),
}
# whom the names do not tell
NEAR = {
    "conventions/compare.py": "conventions_like",
    "conventions/keras/by_leaf.py": "conventions_like",
    "conventions/newer_states.py": "conventions_pairing",
    "records/curves.py": "records",
    "records/format_1.py": "records",
    "sweeps/device.py": "engine",
    "sweeps/feeding.py": "streams",
    "sweeps/interrupts.py": "interrupts",
    "sweeps/keeping.py": "weights",
    "sweeps/remote.py": "cluster",
    "sweeps/streaming.py": "streams",
    "tables/around.py": "averaging",
    "tables/boxes.py": "space",
    "tables/cells.py": "tables",
    "tables/distributions.py": "space",
    "tables/schedule_makers.py": "schedule_columns",
    "tables/signatures.py": "columns",
    "transforms/orthogonal.py": "muon",
    "transforms/plateau.py": "schedules_frameworks",
    "transforms/prodigy.py": "transforms_precision",
}


def warm_up() -> None:
    """What every test imports, but for the package."""
    os.environ |= {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTEST_XDIST_WORKER": "gw0",  # conftest.py makes no cache of programs of its own
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    import chex  # noqa: F401
    import flax.linen
    import flax.nnx  # noqa: F401
    import hypothesis  # noqa: F401
    import jax  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import optax  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import xarray  # noqa: F401


def import_package(copy: Path) -> None:
    """All modules of the copy that are asked; none makes an array when it is imported."""
    sys.path[:] = [
        str(copy),
        *(p for p in sys.path if not str(Path(p or ".").resolve()).startswith(str(ROOT))),
    ]
    os.chdir(copy)
    folders = ("cli", "course", "site", "live", "clusters", "__main__", "exports", "search")
    for file in sorted((copy / "jaxopt_course").rglob("*.py")):
        parts = file.relative_to(copy).with_suffix("").parts
        if len(parts) > 1 and parts[1] not in folders:
            importlib.import_module(".".join(parts).removesuffix(".__init__"))


def forget_package() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "jaxopt_course"]:
        del sys.modules[name]


def replace_code(file: str, text: str) -> bool:
    """Give the functions of an imported module the code of another text; whether one changed."""
    dotted = ".".join(("jaxopt_course", *Path(file).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    module, new, changed = sys.modules[dotted], {}, []

    def collect(code):
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                new[inner.co_qualname, inner.co_firstlineno] = inner
                collect(inner)

    def visit(thing):
        for part in ("__func__", "fget", "func", "__wrapped__"):
            if (inner := getattr(thing, part, None)) is not None and not isinstance(thing, type):
                visit(inner)
        if isinstance(thing, types.FunctionType) and thing.__module__ == dotted:
            code = thing.__code__
            other = new.get((code.co_qualname, code.co_firstlineno))
            if other is not None and other.co_freevars == code.co_freevars and other != code:
                thing.__code__ = other
                changed.append(other)

    collect(compile(text, module.__file__, "exec"))
    for thing in list(vars(module).values()):
        visit(thing)
        if isinstance(thing, type) and thing.__module__ == dotted:
            for inner in list(vars(thing).values()):
                visit(inner)
    return bool(changed)


def forked(work: Path, job, cpu_seconds: int = CPU_SECONDS):
    """What ``job()`` returns in a fork whose directory is the copy; None if it is not over."""
    answer, copy = work / "answer.json", work / "copy"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
            out = os.open(work / "last.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ["PYTHONPATH"] = str(copy)
            found = json.dumps(job())
            (work / "answer.tmp").write_text(found)
            os.replace(work / "answer.tmp", answer)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    for _ in range(20 * 8 * cpu_seconds):  # it waits for nobody, unless both are stopped
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    return json.loads(answer.read_text()) if answer.exists() else None


def candidates(file: str, site: Site) -> list[str]:
    """The test files, the likeliest first: by name, by what they speak of."""
    path = Path(file)
    names = [part for part in site.function.split(".") if part and not part.startswith("_")]
    dotted = ".".join(("jaxopt_course", *path.with_suffix("").parts))
    found = []
    for test in sorted((ROOT / "tests").glob("test_*.py")):
        stem = test.stem.removeprefix("test_")
        if stem.startswith(NOT_ASKED):
            continue
        text = test.read_text("utf-8")
        score = 4 * (path.stem.rstrip("s") in stem or stem.rstrip("s") == path.stem)
        score += 2 * (dotted in text) + (f" {path.stem}" in text)
        score += 2 * any(name in text for name in names)
        score += 6 * (stem == NEAR.get(file))
        score += 1.5 * (stem in KNOWING[path.parts[0]]) + 0.5 * (path.parts[0].rstrip("s") in stem)
        found.append((-score, stem))
    own = [f"jaxopt_course/{file}"] if ">>>" in (ROOT / "jaxopt_course" / file).read_text() else []
    return own + [f"tests/test_{stem}.py" for score, stem in sorted(found) if score < 0]


def digest(file: str) -> str:
    return hashlib.sha256((ROOT / file).read_bytes()).hexdigest()[:12]


def prepare(work: Path) -> None:
    """A copy whose package is that of the first call, and whose tests are today's."""
    copy, whole = work / "copy", work / "whole"
    for name in ("jaxopt_course", "experiments"):
        if not (whole / name).exists():
            skipped = shutil.ignore_patterns("__pycache__", "pictures")
            shutil.copytree(ROOT / name, whole / name, ignore=skipped)
        shutil.rmtree(copy / name, ignore_errors=True)  # a mutant may have been left in it
        shutil.copytree(whole / name, copy / name)
    shutil.copytree(
        ROOT / "tests", copy / "tests", dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "drawn_mutants*"),
    )  # fmt: skip
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, copy / name)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(work / "programs")
    (work / "maps").mkdir(exist_ok=True)


class Maps:
    """What the tests of a file reach, where a mutant that none of them noticed has told."""

    def __init__(self, work: Path) -> None:
        self.work, self.known = work, {}

    def is_known(self, file: str) -> bool:
        return file in self.known or self._read(file) is not None

    def __getitem__(self, file: str) -> dict[str, dict]:
        """Test to its ``seconds`` and what it ``reached``; those that fail anyway are left out."""
        if file not in self.known:
            tests = self._read(file)
            self.known[file] = {
                name: one | {"reached": {tuple(pair) for pair in one["reached"]}}
                for name, one in tests.items()
                if one["outcome"] == "passed" and "reached" in one
            }
        return self.known[file]

    def _place(self, file: str) -> Path:
        return self.work / "maps" / (file.replace("/", ".") + ".json")

    def _read(self, file: str) -> dict | None:
        if not self._place(file).exists():
            return None
        kept = json.loads(self._place(file).read_text("utf-8"))
        return kept["tests"] if kept["digest"] == digest(file) else None

    def write(self, file: str, tests: dict) -> None:
        answer = json.dumps({"digest": digest(file), "tests": tests})
        self._place(file).write_text(answer, "utf-8")


def statement(text: str, line: int) -> int | None:
    """The line where the innermost statement of a function that holds ``line`` begins."""
    best = None
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            for inner in ast.walk(node):
                if (
                    isinstance(inner, ast.stmt)
                    and inner is not node
                    and inner.lineno <= line <= inner.end_lineno
                    and (best is None or inner.lineno > best)
                ):
                    best = inner.lineno
    return best


def of_file(tests: dict[str, dict], file: str, line: int | None) -> tuple[list[str], float]:
    """Those that reach a line, the quick ones first, then the others; and their seconds."""
    hits = {
        name
        for name, one in tests.items()
        if ((file, line) in one["reached"] if line else any(f == file for f, _ in one["reached"]))
    }
    order, seconds = [], 0.0
    for name in sorted(tests, key=lambda name: (name not in hits, tests[name]["seconds"])):
        cost = tests[name]["seconds"]
        if seconds + cost < (SECONDS if name in hits else SECONDS / 4):
            order.append(name)
            seconds += cost
    return (order, seconds) if hits else ([], 0.0)


class Chosen:
    """A plugin of pytest: these tests or files, in this order; the first that fails is noted.

    Of a whole file those come first whose names have one of the ``words``.
    """

    def __init__(self, names, words):
        self.rank = {name: i for i, name in enumerate(names)}
        self.words = [word for word in words if word]
        self.failed, self.seen = None, set()

    def _place(self, item):
        """Its rank by its own name, that of its function, or its file's; last those of no word."""
        file, _, inside = item.nodeid.partition("::")
        function = inside.partition("[")[0].rpartition("::")[2]
        for name in (item.nodeid, f"{file}::{function}"):
            if name in self.rank:
                return self.rank[name], False
        return self.rank.get(file), not any(word in inside for word in self.words)

    def pytest_collection_modifyitems(self, items):
        items[:] = sorted(
            (item for item in items if self._place(item)[0] is not None), key=self._place
        )

    def pytest_runtest_logreport(self, report):
        self.seen.add(report.nodeid)
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report):
        if report.failed and self.failed is None:
            self.failed = report.nodeid or "collection"


def ask(work: Path, file: str, site: Site, names: list[str], maps=None, slow=True):
    """The test that fails; None if all pass: with ``maps``, then these know the file."""
    target = work / "copy" / "jaxopt_course" / file
    text = target.read_text("utf-8")
    groups = list(dict.fromkeys(name.split("::")[0] for name in names))

    changed = text[: site.start] + site.new + text[site.end :]

    def job():
        if maps or slow or not replace_code(file, changed):
            forget_package()
        plugin, also = Chosen(names, [Path(file).stem, *site.function.split(".")]), []
        marks = NAMED if any("::" in name for name in names) else []
        if maps:
            also = [Reached()]
            instrument(work / "copy" / "jaxopt_course", files(), also[0].reached)
        code = pytest.main([*groups, "-x", "-q", *QUIET, *marks], plugins=[plugin, *also])
        found = {"code": int(code), "failed": plugin.failed}
        return found | ({"tests": also[0].found} if maps and code == 0 else {})

    def forget():  # byte code
        for stale in (target.parent / "__pycache__").glob(target.stem + ".*"):
            stale.unlink()

    try:
        forget()
        target.write_text(changed, "utf-8")
        found = forked(work, job)
    finally:
        target.write_text(text, "utf-8")
        forget()
    if found is None:
        return "not over in time, or its process died"
    if "tests" in found and "\n" not in site.old:
        maps.write(names[0], found["tests"])
    if found["code"] not in (0, 5) and found["failed"] is None:  # 5: there is no such test any more
        raise RuntimeError(f"pytest ended with {found['code']}, see {work / 'last.log'}")
    return found["failed"]


def run_mutant(work: Path, file: str, site: Site, maps: Maps, before: list, most: int):
    """(end, by whom or of how many, test files asked)."""
    text = (work / "copy" / "jaxopt_course" / file).read_text("utf-8")
    try:
        ast.parse(text[: site.start] + site.new + text[site.end :])
    except SyntaxError:
        return "killed", "no Python", []
    line = statement(text, site.line)
    asked, batch, seconds, total = [], [], 0.0, 0
    offered = candidates(file, site)
    at_first = [one for one in offered if one.startswith("jaxopt_course")]
    at_first += before
    if at_first:
        if by := ask(work, file, site, at_first, slow=line is None):
            return "killed", by, at_first
        asked += [one for one in at_first if "::" not in one]
    offered = [one for one in offered if one not in asked]
    for i, test_file in enumerate(offered):
        if len(asked) >= most or not most:
            break
        if not maps.is_known(test_file):
            asked.append(test_file)
            if by := ask(work, file, site, [test_file], maps):
                return "killed", by, asked
            continue
        names, cost = of_file(maps[test_file], file, line)
        if names:
            asked.append(test_file)
            batch, seconds, total = batch + names, seconds + cost, total + len(names)
        following = offered[i + 1 : i + 2]
        wait = following and maps.is_known(following[0]) and len(asked) < most
        if batch and not (wait and seconds < 5):
            if by := ask(work, file, site, batch):
                return "killed", by, asked
            batch, seconds = [], 0.0
    if batch and (by := ask(work, file, site, batch)):
        return "killed", by, asked
    return "survived", f"{total} tests" if total else "no test reaches it", asked


def key(file: str, site: Site) -> str:
    return f"{file}:{site.line}:{site.start}:{site.kind}:{site.new}"


def run_all(work: Path, again: bool, most: int, anew: bool) -> None:
    maps, results, done = Maps(work), work / "results.jsonl", {}
    rows = table() if TABLE.exists() else []
    before = {row.key: [row.why] for row in rows if row.end == "killed"}  # the last time
    guess = work / "first.json"
    guessed = json.loads(guess.read_text("utf-8")) if guess.exists() else {}
    known = {row.key: row for row in rows if not anew}
    if results.exists():
        for line in results.read_text("utf-8").splitlines():
            one = json.loads(line)
            done[one["key"]] = one
    for file, fields in json.loads((work / "drawn.json").read_text("utf-8")):
        site = Site(*fields)
        name = key(file, site)
        if name in done and not (again and done[name]["end"] == "survived"):
            continue
        start, row = time.monotonic(), known.get(row_of(file, site, "", "").key)
        if row is not None and name not in done:
            end, by, asked = row.end.replace("equivalent", "survived"), row.why, []
        else:
            first = guessed.get(name, []) + before.get(row_of(file, site, "", "").key, [])
            end, by, asked = run_mutant(work, file, site, maps, first, most)
        spent = round(time.monotonic() - start, 1)
        entry = {"key": name, "end": end, "by": by, "asked": asked, "seconds": spent}
        with results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        print(f"{len(done)} {name} {end} {by} {spent} s", flush=True)
        done[name] = entry


def ends_of(work: Path) -> dict[str, tuple[str, str]]:
    lines = (work / "results.jsonl").read_text("utf-8").splitlines()
    return {one["key"]: (one["end"], one["by"]) for one in map(json.loads, lines)}


def check(work: Path) -> None:
    """Who fails anyway has noticed nothing."""
    names = sorted({by for end, by in ends_of(work).values() if end == "killed" and "::" in by})

    def job():
        plugin = Chosen(names, [])
        groups = sorted({name.partition("::")[0] for name in names})
        code = pytest.main([*groups, "-q", *QUIET, *NAMED], plugins=[plugin])
        return {"code": int(code), "gone": sorted({*names} - plugin.seen)}

    found = forked(work, job, 20 * CPU_SECONDS)
    if found != {"code": 0, "gone": []}:
        sys.exit(f"some fail without a fault, or are gone: {found}, see {work / 'last.log'}")
    print(f"{len(names)} tests pass where there is no fault")


def write(work: Path) -> None:
    """The table, with the reasons that it has of those that nobody kills."""
    ends = ends_of(work)
    judged = (
        {row.key: row.why for row in table() if row.end == "equivalent"} if TABLE.exists() else {}
    )
    rows = []
    for file, fields in json.loads((work / "drawn.json").read_text("utf-8")):
        site = Site(*fields)
        if key(file, site) not in ends:
            continue
        row = row_of(file, site, *ends[key(file, site)])
        if row.end == "survived" and row.key in judged:
            row = row._replace(end="equivalent", why=judged[row.key])
        rows.append(row)
    rows.sort()
    with TABLE.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([Row._fields, *rows])
    counts = {end: sum(row.end == end for row in rows) for end in sorted({row.end for row in rows})}
    print(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="+", choices=["draw", "run", "again", "check", "write"])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "drawn_mutants")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--anew", action="store_true", help="without what the table has")
    parser.add_argument("--most", type=int, default=6, help="test files that a mutant may take")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if {"run", "again", "check"} & {*options.steps}:
        prepare(work)
        warm_up()
        import_package(work / "copy")
    for step in options.steps:
        if step == "draw":
            kept = [row.key for row in table()] if TABLE.exists() and not options.anew else []
            (work / "drawn.json").write_text(json.dumps(drawn(options.count, kept)), "utf-8")
        elif step == "check":
            check(work)
        elif step == "write":
            write(work)
        else:
            run_all(work, step == "again", options.most, options.anew)


if __name__ == "__main__":
    main()
