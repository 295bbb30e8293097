"""Where a fault may be put into the package, which of these are drawn, and the table of their ends.

A site is a place and what stands there instead: an operator for its neighbour, a number one more
or less, a condition that is always or never met, a statement or argument left out, ``min`` for
``max``, another key.  ``drawn_mutants.py`` puts them in, one at a time.
"""

import ast
import csv
import random
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "drawn_mutants.csv"
SEED = 2026
COUNT = 318
PARTS = ["sweeps", "records", "tables", "transforms", "conventions"]
PARTS += ["report/tables.py", "report/bands.py", "report/verdict.py"]


class Site(NamedTuple):
    """One change of one place."""

    function: str  # its dotted name in the file, "" at the top
    line: int
    kind: str
    text: str  # the line, stripped
    start: int
    end: int
    old: str
    new: str


SWAPS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/", ast.Mod: "*",
    ast.Pow: "*", ast.And: "or", ast.Or: "and",
}  # fmt: skip
OTHERS = {"min": "max", "minimum": "maximum", "any": "all", "floor": "ceil", "argmin": "argmax"}
OTHERS |= {new: old for old, new in OTHERS.items()}


def sites(text: str) -> list[Site]:
    """What may be changed in a file, in its order.

    Not annotations, docstrings, what ``raise`` and ``warn`` say, ``__all__``.
    """
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def place(line, column):
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def span(node):
        return place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)

    found = []

    def visit(node, function):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            function = f"{function}.{node.name}".lstrip(".")
        for kind, start, end, new in _changes(node, text, span):
            line = text.count("\n", 0, start) + 1
            whole, old = lines[line - 1].strip(), text[start:end]
            found.append(Site(function, line, kind, whole, start, end, old, new))
        for child in _looked_into(node):
            visit(child, function)

    visit(ast.parse(text), "")
    return sorted({*found}, key=lambda site: (site.start, site.end, site.new))


def _looked_into(node):
    """The children that are code whose effect somebody could see."""
    if isinstance(node, ast.Raise) or (
        isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "warn"
    ):
        return
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (
                isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            ):
                yield child


def _is_left_out(node):
    """Statements without which the others still have all their names."""
    if isinstance(node, ast.Assign):
        return not isinstance(node.targets[0], ast.Name | ast.Tuple)
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Yield | ast.Constant)
    return isinstance(node, ast.AugAssign | ast.Raise)


def _changes(node, text, span):
    """(kind, start, end, new): what may stand in the place of which characters."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = span(node.left)[1], span(node.comparators[0])[0]
        if ")" not in text[left:right] and "(" not in text[left:right]:
            yield "comparison", left, right, f" {SWAPS[type(node.ops[0])]} "
    elif isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        left, right = span(node.left)[1], span(node.right)[0]
        if text[left:right].strip() in {"+", "-", "*", "/", "//", "%", "**"}:
            yield "arithmetic", left, right, f" {SWAPS[type(node.op)]} "
    elif isinstance(node, ast.BoolOp):
        left, right = span(node.values[0])[1], span(node.values[1])[0]
        if text[left:right].strip() in {"and", "or"}:
            word = text[left:right].strip()
            yield "and/or", left, right, text[left:right].replace(word, SWAPS[type(node.op)])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start = span(node)[0]
        yield "not", start, start + 3, ""
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", *span(node), repr(not node.value)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "constant", *span(node), repr(node.value + 1)
        yield "constant", *span(node), f"({node.value - 1!r})"
    elif isinstance(node, ast.If | ast.IfExp):
        yield "condition", *span(node.test), "True"
        yield "condition", *span(node.test), "False"
    elif isinstance(node, ast.While):
        yield "condition", *span(node.test), "False"
    elif isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield "condition", *span(test), "True"
    elif isinstance(node, ast.Return) and getattr(node.value, "value", node.value) is not None:
        yield "return", *span(node), "return None"
    elif isinstance(node, ast.Break):
        yield "break/continue", *span(node), "continue"
    elif isinstance(node, ast.Continue):
        yield "break/continue", *span(node), "break"
    elif _is_left_out(node):
        yield "statement", *span(node), "pass"
    if isinstance(node, ast.Call):
        for one in node.keywords:
            if one.arg is not None:  # with the comma before or behind it
                start, end = span(one)
                if text[:start].rstrip().endswith(","):
                    yield "argument", text[:start].rstrip().rindex(","), end, ""
                elif text[end:].startswith(","):
                    yield "argument", start, end + 1, ""
                else:
                    yield "argument", start, end, ""
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in OTHERS:
            start, end = span(node.func)
            yield "function", end - len(name), end, OTHERS[name]
    words = []
    if isinstance(node, ast.Subscript):
        words = [node.slice]
    elif isinstance(node, ast.Dict):
        words = [key for key in node.keys if key]
    elif isinstance(node, ast.Compare):
        words = [node.left, *node.comparators]
    for word in words:
        if isinstance(word, ast.Constant) and isinstance(word.value, str):
            yield "key", *span(word), repr(word.value + "_")


def files() -> list[str]:
    """The files that mutants are drawn of, below jaxopt_course/."""
    package = ROOT / "jaxopt_course"
    found = [
        file
        for part in PARTS
        for file in ([package / part] if part.endswith(".py") else (package / part).rglob("*.py"))
    ]
    return sorted(file.relative_to(package).as_posix() for file in found)


def drawn(count: int = COUNT, kept: Collection[tuple[str, ...]] = ()) -> list[tuple[str, Site]]:
    """So many (file, site): those of ``kept``, then the first of an order that the files decide.

    Each time a file by its number of sites, a kind of change, a site of that kind.

    Args:
        kept: keys of rows that were drawn before; those that are gone from the files are left out.
    """
    dice, found, chosen = random.Random(SEED), {}, []
    wanted = {*kept}
    for file in files():
        by_kind = {}
        for site in sites((ROOT / "jaxopt_course" / file).read_text("utf-8")):
            by_kind.setdefault(site.kind, []).append(site)
            key = row_of(file, site, "", "").key
            if key in wanted and len(chosen) < count:
                wanted.remove(key)
                chosen.append((file, site))
        if by_kind:
            found[file] = by_kind
    names = sorted(found)
    sizes = [sum(map(len, found[name].values())) for name in names]
    while len(chosen) < count:
        (file,) = dice.choices(names, sizes)
        site = dice.choice(found[file][dice.choice(sorted(found[file]))])
        if (file, site) not in chosen:
            chosen.append((file, site))
    return chosen


class Row(NamedTuple):
    """A line of the table."""

    file: str
    function: str
    kind: str
    line: str
    old: str
    new: str
    end: str  # "killed", "equivalent", and "survived" while nobody has judged it
    why: str  # the test that kills it, or the reason

    @property
    def key(self) -> tuple[str, ...]:
        return self[:6]


def table() -> list[Row]:
    """The committed one."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        return [Row(*cells) for cells in [*csv.reader(stream)][1:]]


def row_of(file: str, site: Site, end: str, why: str) -> Row:
    flat = lambda text: " ".join(text.split())
    return Row(file, site.function, site.kind, site.text, flat(site.old), flat(site.new), end, why)
