"""Messages in the words of who reads them: arguments in Python, options at a command line."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from jaxopt_course import cli
from jaxopt_course.cli.compare import Compare
from jaxopt_course.cli.resume import Resume
from jaxopt_course.cli.spoken import spoken
from jaxopt_course.cli.sweep import Sweep
from jaxopt_course.messages import in_options

PACKAGE = Path(cli.__file__).parents[1]
OTHERS = "--object-store-memory --temp-dir --head --address --backend-store-uri --project --logdir"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("leave it out, drop=['a b', 'c']", "leave it out, --drop 'a b' c"),
        ("drop=['-x']", "--drop=-x"),
        ("drop=['a]', \"it's\"]: or", "--drop 'a]' 'it'\"'\"'s': or"),
        ("drop=['\x1b[2J']", "--drop '\\x1b[2J'"),
        ("dates={'day of': '%d/%m/%Y'}.", "--dates 'day of=%d/%m/%Y'."),
        ("say decimal='.' or decimal=','", "say --decimal . or --decimal ,"),
        ("(if it is data, header=False)", "(if it is data, --header no)"),
        ("another mark: sep=…", "another mark: --sep"),
        ("batch_size=64 is larger", "--batch-size 64 is larger"),
        ("lanes must be at least 1", "--lanes must be at least 1"),
        ("take it out of dates=", "take it out of --dates"),
        ("less often (record_every=, evaluate_every=), or", "less often (--evaluate-every), or"),
        ("or allow it to be replaced (overwrite=True)", "or allow it to be replaced (--overwrite)"),
        ("a column 'batch_size', h['drop'], a==b", "a column 'batch_size', h['drop'], a==b"),
        ("mesh=, keep=3 and 'sep=;'", "mesh=, keep=3 and 'sep=;'"),
    ],
)
def test_arguments_become_options(said, told):
    assert spoken(said, Compare()) == told


def test_each_command_has_its_own_options():
    assert spoken("name it, static=['k']", Sweep("mine.py")) == "name it, --static k"
    assert spoken("leave it out, drop=['k']", Sweep("mine.py")) == "leave it out, drop=['k']"
    assert spoken("go on (exact=False)", Resume(Path("x"))) == "go on (--to-rounding)"
    assert in_options("drop=['k']", {}) == "drop=['k']"


def test_only_the_commands_speak_of_options():
    """Elsewhere a reader may have Python alone; what has both readers is said in arguments."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        if file.relative_to(PACKAGE).parts[0] in ("cli", "course", "site"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            call = isinstance(node, ast.Call) and "warn" in ast.unparse(node.func)
            if not call and not isinstance(node, ast.Raise):
                continue
            texts = [c.value for c in ast.walk(node) if isinstance(c, ast.Constant)]
            said = "".join(text for text in texts if isinstance(text, str))
            options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", said)) - set(OTHERS.split())
            found += [(file.name, node.lineno, option) for option in options]
    assert not found


ASKED = ["--optimizers", "sgd", "--learning-rates", "1", "--seeds", "1", "--epochs", "1"]
BAD = {
    "no names": ("1.5,2,a\n2.5,3,b\n4.5,5,a\n" * 5, [], "--header no, and"),
    "marks": ("t;y\n7.100;1\n7.200;2\n", [], "--decimal . or --decimal ,"),
    "gaps": ("t,y\n" + "1,\n2,1\n3,2\n" * 9, [], "--leave-out empty"),
    "rare": ("t,y\n1,9\n" + "2,1\n3,2\n" * 9, [], "--leave-out rare, or predict"),
    "text": ("a b,y\n" + "".join(f"n{i} m,{i % 2}\n" for i in range(99)), [], "--drop 'a b'"),
    "latin": ("na\xefve,y\n1,2\n".encode("latin-1"), [], "say what it is in, as --encoding cp1252"),
    "mark": ("t,y\n1,2\n3,4\n", ["--sep", "abc"], "--sep must be a mark"),
    "batch": ("t,y\n" + "2,1\n3,2\n" * 20, ["--batch-size", "99"], "--batch-size 99 is larger"),
    "none": ("t,y\n" + "2,1\n3,2\n" * 20, ["--batch-size", "0"], "--batch-size must be"),
    "often": ("t,y\n" + "2,1\n3,2\n" * 20, ["--evaluate-every", "0"], "--evaluate-every must"),
    "smooth": ("t,y\n" + "".join(f"{i % 7},{i}.5\n" for i in range(60)),
               ["--label-smoothing", "0.1"], "does not read --label-smoothing"),
    "smooth batches": ("t,y\n" + "".join(f"{i % 7},{i}.5\n" for i in range(60)),
                       ["--batch-size", "8", "16", "--label-smoothing", "0.1"],
                       "does not read --label-smoothing"),
    "steps": ("t,y\n" + "2,1\n3,2\n" * 20, ["--epochs", "1000000000", "--evaluate-every", "1"],
              "look at the trials less often (--evaluate-every), or"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_at_a_command_line_is_answered_in_options(name, tmp_path, monkeypatch, capsys):
    content, more, words = BAD[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    monkeypatch.setattr("jaxopt_course.sweeps.memory.available_bytes", lambda: 2**30)
    data = content if isinstance(content, bytes) else content.encode()
    Path("t.csv").write_bytes(data)
    target = "b" if name == "no names" else "y"
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "--csv", "t.csv", "--target", target, *ASKED, *more])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and words in said
    assert not re.search(r"(?<!\w)[a-z_]+=(?!\w*[%])", said), "an argument of Python's"


def test_a_file_of_ones_own_is_answered_in_arguments(tmp_path, monkeypatch, capsys):
    """Who writes it has Python's arguments, and not the options of ``compare``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    Path("t.csv").write_text(BAD["text"][0])
    Path("mine.py").write_text(
        'import jaxopt_course as joc\ntask = joc.table_task("t.csv", "y", drop=[])\n'
    )
    with pytest.raises(SystemExit):
        cli.main(["sweep", "mine.py", "--set", "learning_rate=0.1"])
    assert "mine.py, line 2: ValueError: " in (said := capsys.readouterr().err)
    assert "drop=['a b']" in said and "--drop" not in said


def test_a_daemon_has_no_standard_input(tmp_path, monkeypatch, capsys):
    """Whether to ask was asked of None."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda n=None: 1)
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("jaxopt_course.studies.sweep.sweep", _refuse)
    with pytest.raises(SystemExit):
        cli.main(["compare", "--task", "line", *ASKED])
    assert "as far as this" in capsys.readouterr().err


def _refuse(*_, **__):
    raise ValueError("as far as this")


def test_tables_that_no_machine_holds_are_refused_before_they_are_made():
    from jaxopt_course import grid, log_uniform, random, sobol

    with pytest.raises(ValueError, match="100,000,000 rows at most, not 100,000,000,000"):
        grid(learning_rate=np.geomspace(1e-3, 1, 100_000), seed=range(1_000_000))
    for draw in (random, sobol):
        with pytest.raises(ValueError, match="rows at most, not 10,000,000,000,000"):
            draw(1_000, seeds=range(10**10), learning_rate=log_uniform(1e-3, 1))
    assert len(grid(optimizer="adam", learning_rate=[0.1, 0.2], seed=np.array(3))) == 2
