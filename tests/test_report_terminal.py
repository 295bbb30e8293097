"""The table of winners fits a terminal of 80 columns, also with thirteen names and two numbers."""

from io import StringIO

from report_studies import trial, write
from rich.console import Console

from jaxopt_course.cli import compare
from jaxopt_course.report import print_report
from jaxopt_course.report.terminal import in_lines

NAMES = [*compare.COURSE, "muon", "schedule_free_adamw", "adamw+ema"]
NUMBERS = {"hyperparameters": ["optimizer", "learning_rate", "weight_decay"]}


def rows(seeds):
    def decay(i, k):
        return 0.00123 * (1 + i + k) if i % 2 else float("nan")

    return [
        trial(name, 0.00123 * k, seed, 0.9 + 0.001 * i - 0.02 * (k - 2) ** 2 + 0.004 * (seed % 3))
        | {"weight_decay": decay(i, k)}
        for i, name in enumerate(NAMES)
        for k in (1, 2, 3)
        for seed in seeds
    ]


def test_two_tuned_numbers_of_thirteen_fit_eighty_columns(tmp_path):
    known = NUMBERS | {"searched": NUMBERS["hyperparameters"]}
    write(tmp_path, rows(range(4)), rows(range(4, 9)), **known)
    console = Console(file=StringIO(), width=80)
    print_report(tmp_path, console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    table = lines[3 : lines.index("")]
    assert sum("\N{PLUS-MINUS SIGN}" in line for line in table) == len(NAMES)
    whole = " ".join(" ".join(table).split())
    for name in NAMES:
        assert name in whole or in_lines(name, 14).split("\n")[0] in whole, name
    sgd = next(line for line in table if " sgd " in line)
    assert len(sgd.split()) < len(next(line for line in table if " momentum " in line).split())


def test_what_befell_a_number_leaves_the_names_their_room(tmp_path):
    """One training that diverged on a fresh seed had squeezed all other columns to two letters."""
    fresh = [
        trial(name, 0.1, 10 + seed, 0.9 + 0.001 * seed * (1 + i))
        for i, name in enumerate(["adam", "momentum", "schedule_free_adamw"])
        for seed in range(5)
    ]
    fresh[7] = trial("momentum", 0.1, 12, status="diverged")
    write(tmp_path, [trial(one["optimizer"], 0.1, one["seed"] - 10) for one in fresh], fresh)
    console = Console(file=StringIO(), width=80)
    print_report(tmp_path, console)
    said = console.file.getvalue()
    table = said[: said.index("search, fresh seeds")]
    for word in ("optimizer", "learning", "rate", " adam ", " momentum ", "adamw", "(1 of 5"):
        assert word in table, word
    assert "\N{HORIZONTAL ELLIPSIS}" not in table and "diverged)" in table


def test_a_name_breaks_behind_its_marks_alone():
    assert in_lines("schedule_free_adamw", 14) == "schedule_free_\nadamw"
    assert in_lines("adamw+ema", 6) == "adamw+\nema"
    assert in_lines("unbreakable", 3) == "unbreakable"
    assert in_lines("", 3) == ""
