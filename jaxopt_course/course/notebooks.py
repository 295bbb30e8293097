"""A lesson, which is a script in Jupytext's percent format, run as the notebook that it is."""

import ast
import os
import re
import sys
import time
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jupytext
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from nbformat.v4 import new_code_cell, new_output

from jaxopt_course.course.decimals import printed
from jaxopt_course.course.lesson import QUICK

SECONDS = 900  # that a cell may take
SETUP = """\
# Para ejecutar este cuaderno donde no está la biblioteca, como en Colab: la instala con lo demás.
from importlib.util import find_spec

if find_spec("jaxopt_course") is None:
    %pip install -q "jaxopt-course[course]=={version}"
"""
IN_SIGHT = 15  # lines of a cell; longer ones are folded
KEEPING = {"show", "show_claims", "judge", "claim"}  # what is no matter of a lesson
FOLDED, OPEN = "hide-input", "show-input"  # MyST-NB's mark, and ours against it
COLUMNS = r"\S {2,}\S|^ {2,}"  # in what is printed: its lines must stay as they are
GAP = re.compile(r"(?<=[^\s:;,=])( {2,})(?=\S)")  # between columns
BROKEN = 58  # letters of a line that check breaks, at least
ON_A_PHONE = 40  # letters of a line
NO_BREAK = "\N{NO-BREAK SPACE}"
WORDS, LINES = 180, 15  # that are read in a minute, of prose and of code in sight
PERCENT = {"extension": ".py", "format_name": "percent"}


@dataclass
class Lesson:
    """A lesson and what its run gave."""

    file: Path
    notebook: Any = None  # nbformat's
    seconds: float = 0.0
    failure: str | None = None  # the error of the cell that failed
    cell: int | None = None  # its number, from 1
    line: int | None = None  # of the script, where the cell begins
    notes: list[str] = field(default_factory=list)  # what went to the standard error stream

    @property
    def name(self) -> str:
        """As 03_momentum."""
        return self.file.stem

    @property
    def title(self) -> str:
        """The first heading."""
        for line in self.file.read_text(encoding="utf-8").splitlines():
            if line.startswith("# # "):
                return line.removeprefix("# # ").strip()
        return self.name

    @property
    def figures(self) -> int:
        """How many pictures its cells have shown."""
        outputs = [o for cell in self.notebook.cells for o in cell.get("outputs", [])]
        shown = [output.get("data", {}) for output in outputs]
        return sum("image/png" in data or "<img" in data.get("text/html", "") for data in shown)


class ThisPython(AsyncKernelManager):
    """Starts kernels of the interpreter that runs this, whatever else is installed as python3."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How a kernel is started."""
        start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        start.append("--IPKernelApp.log_level=CRITICAL")
        return KernelSpec(argv=start, display_name="Python 3", language="python")


def read(file: Path) -> Any:
    """The notebook that a script stands for, not yet run."""
    notebook = jupytext.read(file, fmt=PERCENT)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return notebook


def runnable(file: Path) -> Any:
    """The notebook to take away: after its title a cell that installs what it needs."""
    notebook = read(file)
    notebook.cells.insert(1, new_code_cell(SETUP.format(version=version("jaxopt-course"))))
    return notebook


def run(file: Path, *, quick: bool = False) -> Lesson:
    """Run a lesson's cells in a fresh process, where this one is, until one fails.

    Args:
        file: the script.
        quick: in the quick mode of checks, with fewer trials and steps.
    """
    lesson = Lesson(file, read(file))
    client = NotebookClient(
        lesson.notebook,
        kernel_manager_class=ThisPython,
        timeout=SECONDS,
        startup_timeout=180,
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if quick:
        environment[QUICK] = "1"
    begin, index = time.perf_counter(), 0
    try:
        with client.setup_kernel(env=environment):  # not execute: it would swallow Ctrl-C
            for index, cell in enumerate(lesson.notebook.cells):
                client.execute_cell(cell, index)
    except CellExecutionError as error:
        fail(lesson, index, f"{error.ename}: {error.evalue}".strip(": "))
    except CellTimeoutError:
        fail(lesson, index, f"took more than {SECONDS} s")
    except DeadKernelError:
        fail(lesson, index, "its process died (out of memory?)")
    except RuntimeError as error:
        lesson.failure = str(error)  # no answer of the process
    lesson.seconds = time.perf_counter() - begin
    tidy(lesson)
    return lesson


def fail(lesson: Lesson, index: int, how: str) -> None:
    """Note which cell failed, and where the script has it."""
    source = lesson.notebook.cells[index].source
    before = lesson.file.read_text(encoding="utf-8").partition(source)[0]
    lesson.failure, lesson.cell, lesson.line = how, index + 1, before.count("\n") + 1


def tidy(lesson: Lesson) -> None:
    """Take what went to the standard error stream (progress, warnings) out of the page.

    So do captions, which the page writes with their numbers.  What is printed between two tables
    stays there: nbclient's own way of joining streams would put it before both.
    """
    for cell in lesson.notebook.cells:
        if cell.cell_type != "code":
            continue
        errors = [output for output in cell.outputs if output.get("name") == "stderr"]
        lesson.notes += [line for o in errors for line in o.text.splitlines() if line.strip()]
        errors += [o for o in cell.outputs if o.get("metadata", {}).get("jaxopt_course")]
        cell.outputs = joined([output for output in cell.outputs if output not in errors])


def joined(outputs: list[Any]) -> list[Any]:
    """Outputs of a cell, those that were printed one after the other as one."""
    made: list[Any] = []
    for output in outputs:
        if made and output.output_type == made[-1].output_type == "stream":
            made[-1].text += output.text
        else:
            made.append(output)
    return made


def dressed(notebook: Any) -> Any:
    """A notebook for a page: cells to be folded have their tag, and sentences may be wrapped.

    What was printed in columns keeps its lines; numbers get decimal commas.
    """
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if folded(cell):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), FOLDED]
        for at, output in enumerate(cell.outputs):
            if output.output_type != "stream":
                continue
            if re.search(COLUMNS, output.text, re.M):
                output.text = printed(output.text, columns=True)
                if max(map(len, output.text.splitlines())) > ON_A_PHONE:
                    cell.outputs[at] = in_columns(output.text)
            else:
                words = escape(printed(output.text.rstrip()), quote=False)
                html = f'<pre class="said">{words}</pre>'
                cell.outputs[at] = new_output("display_data", {"text/html": html})
    return notebook


def in_columns(text: str) -> Any:
    r"""Long lines in columns: as they are where there is room; on a phone each is wrapped alone.

    >>> in_columns("a  1\nb 20").data["text/html"].count('class="gap"')
    1
    """
    lines: list[str] = []
    before = ""
    for line in text.rstrip().split("\n"):
        start = len(line) - len(line.lstrip(" "))
        rest = GAP.sub(r'<i class="gap">\1</i>', escape(line[start:], quote=False))
        if goes_on(before, line):
            lines[-1] += f"\n{line[:start]}{rest}"
        else:
            lines.append(NO_BREAK * start + (rest or NO_BREAK))
        before = line
    made = "".join(f'<span class="line">{line}</span>' for line in lines)
    html = f'<pre class="said columns">{made}</pre>'
    return new_output("display_data", {"text/html": html})


def goes_on(before: str, line: str) -> bool:
    """Whether a line is the rest of a sentence that was broken before it.

    >>> goes_on("  - El signo está al revés: sumas el paso, y la pérdida sube", "  a ojos vistas")
    True
    >>> goes_on("  - El signo está al revés", "  donde crece"), goes_on(70 * "a", "- otra")
    (False, False)
    """
    if len(before) < BROKEN or GAP.search(before) or GAP.search(line):
        return False
    starts = [len(one) - len(one.lstrip(" ✗")) for one in (before, line)]
    return starts[0] == starts[1] and re.match(r"[a-záéíóúñ\d(]", line.lstrip()) is not None


def folded(cell: Any) -> bool:
    """Whether a page shows the code of a cell only when asked for.

    Long cells, those that draw or judge, those that begin with imports or only assert; a cell with
    the tag ``show-input`` never, one with ``hide-input`` always.
    """
    tags = cell.metadata.get("tags", [])
    if OPEN in tags or FOLDED in tags:
        return OPEN not in tags
    if cell.source.count("\n") >= IN_SIGHT:
        return True
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:  # a command of the notebook's own
        return False
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {getattr(call, "id", getattr(call, "attr", "")) for call in calls}
    imports = isinstance(next(iter(tree.body), None), ast.Import | ast.ImportFrom)
    asserts = all(isinstance(line, ast.Assert) for line in tree.body)
    return bool(names & KEEPING) or imports or asserts


def minutes(lesson: Lesson) -> int:
    """How long a lesson takes to read: its prose, and the code in sight."""
    words = lines = 0
    for cell in lesson.notebook.cells:
        if cell.cell_type == "markdown":
            words += len(cell.source.split())
        elif not folded(cell):
            lines += cell.source.count("\n") + 1
    return max(1, round(words / WORDS + lines / LINES))
