"""Small faults put into the package one at a time, and whether the tests notice.

Run     python tests/mutants.py                    (the prepared ones: about ten minutes)
        python tests/mutants.py K1 T5              (some)
Result  a line each; tests/mutants.csv holds the last of every one.  Killed: a test fails, or does
        not end in time.  Files whose tests fail without a mutant, and mutants whose text is not in
        their file any more, are errors.

A mutant is a copy of the package beside this checkout's tests; the tests named for a file are run
in one process, until the first that fails.  tests/drawn_mutants.py draws hundreds of others.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "mutants.csv"
SECONDS = 900  # for the tests of one mutant

# which tests are asked about a file, the quickest first
TESTS = {
    "conventions/torch/rules.py": ["conventions_like"],
    "conventions/torch_state.py": ["conventions_pairing"],
    "records/checkpoints.py": ["records", "resume"],
    "records/files.py": ["records"],
    "records/store.py": ["records"],
    "report/bands.py": ["report_tables"],
    "report/tables.py": ["report_tables"],
    "studies/choosing.py": ["study"],
    "studies/results.py": ["engine"],
    "sweeps/judges.py": ["judges"],
    "sweeps/lanes.py": ["engine"],
    "sweeps/schedulers.py": ["judges", "schedulers"],
    "transforms/second_moment.py": ["transforms_second_moment"],
}


class Mutant(NamedTuple):
    """One change."""

    name: str
    file: str  # below jaxopt_course/
    old: str  # stands there once
    new: str


PREPARED = [
    Mutant(
        "T5",
        "report/tables.py",
        "column.isna() if pd.isna(row[name]) else column.eq(row[name])",
        "column.eq(row[name])",
    ),
    Mutant("B2", "report/bands.py", "if n > 1:", "if n > 2:"),
    Mutant(
        "X5",
        "conventions/torch/rules.py",
        "(directed(maximize), before, by_coordinates(scaling), after)",
        "(before, directed(maximize), by_coordinates(scaling), after)",
    ),
    Mutant("W1", "records/files.py", "        os.fsync(stream.fileno())", "        pass"),
    Mutant("W2", "records/files.py", "            os.fsync(handle)", "            pass"),
    Mutant(
        "K4", "records/checkpoints.py", "            file.unlink()  # or the next", "            # "
    ),
    Mutant(
        "K1",
        "records/checkpoints.py",
        "sorted(candidates, key=_number, reverse=True)",
        "sorted(candidates, key=_number)",
    ),
    Mutant(
        "L1",
        "sweeps/lanes.py",
        "return ~(jnp.abs(loss) <= rhythm.diverges_above)",
        "return ~(jnp.abs(loss) < rhythm.diverges_above)",
    ),
    Mutant(
        "L2",
        "sweeps/lanes.py",
        "return ~(jnp.abs(loss) <= rhythm.diverges_above)",
        "return ~(loss <= rhythm.diverges_above)",
    ),
    Mutant(
        "W4",
        "records/store.py",
        'if not len(trials) == curves.sizes.get("trial") == asked:',
        'if not len(trials) == curves.sizes.get("trial"):',
    ),
    Mutant("C2", "studies/choosing.py", "max(used) + seeds < 2**32", "max(used) + seeds <= 2**32"),
    Mutant("J2", "sweeps/judges.py", "int(count / eta + 1e-9)", "int(count / eta)"),
    Mutant("S3", "sweeps/schedulers.py", "np.round(configurations *", "np.floor(configurations *"),
    Mutant(
        "R2",
        "studies/results.py",
        "best = filled.argmin(axis=1)",
        "best = filled.shape[1] - 1 - filled[:, ::-1].argmin(axis=1)",
    ),
    Mutant(
        "V1",
        "transforms/second_moment.py",
        "jnp.minimum(abs_square(m), jnp.finfo(v.dtype).max)",
        "abs_square(m)",
    ),
]


def run(mutant: Mutant, python: str) -> str:
    """ "killed", with the test that did it, or "survived"."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in ("jaxopt_course", "tests", "experiments"):
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "pictures")
            )
        for name in ("pyproject.toml", "README.md"):
            shutil.copyfile(ROOT / name, copy / name)
        file = copy / "jaxopt_course" / mutant.file
        text = file.read_text(encoding="utf-8")
        if mutant.old and text.count(mutant.old) != 1:
            raise ValueError(f"{mutant.name}: {mutant.file} holds {text.count(mutant.old)} times")
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        tests = [f"tests/test_{name}.py" for name in TESTS[mutant.file]]
        command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return "killed: not over in time"
    if done.returncode == 0:
        return "survived"
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    first = lines[0].split(" - ")[0].split(" ", 1)[1] if lines else f"exit {done.returncode}"
    return f"killed: {first}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="by default all")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    mutants = [one for one in PREPARED if not options.names or one.name in options.names]
    for file in sorted({one.file for one in mutants}):  # who fails anyway kills nobody
        if (end := run(Mutant("nothing", file, "", ""), sys.executable)) != "survived":
            parser.error(f"{file} as it is does not pass its own tests: {end}")
    with ThreadPoolExecutor(options.jobs) as pool:
        ends = pool.map(lambda one: run(one, sys.executable), mutants)
        found = {}
        for mutant, end in zip(mutants, ends, strict=True):
            print(f"{mutant.name}: {end}", flush=True)
            found[mutant.name] = (mutant.file, end)
    survivors = sum(end == "survived" for _, end in found.values())
    print(f"{len(found) - survivors} of {len(found)} killed")
    known = {}
    if TABLE.exists():
        with TABLE.open(encoding="utf-8", newline="") as stream:
            known = {name: (file, end) for name, file, end in [*csv.reader(stream)][1:]}
    with TABLE.open("w", encoding="utf-8", newline="") as stream:
        rows = [(name, *rest) for name, rest in sorted((known | found).items())]
        csv.writer(stream, lineterminator="\n").writerows([("mutant", "file", "end"), *rows])


if __name__ == "__main__":
    main()
