"""Which statements of some files of the package each test reaches, fixtures included.

A module that is imported anew tells at each statement of its functions that it was reached; one
that jax has traced is not traced again, so that of two tests of one function the first may have it.
"""

import ast
import builtins
import importlib.machinery
import time
from pathlib import Path

import pytest


class Marked(ast.NodeTransformer):
    """Each statement in a function tells first that it was reached."""

    def __init__(self, file):
        self.file = file
        self.inside = False

    def _block(self, body):
        marked = []
        for statement in body:
            docstring = isinstance(statement, ast.Expr) and isinstance(
                statement.value, ast.Constant
            )
            kept = docstring or isinstance(statement, ast.Nonlocal | ast.Global)
            if self.inside and not kept:
                call = ast.parse(f"__reached__({self.file!r}, {statement.lineno})").body[0]
                for node in ast.walk(call):
                    ast.copy_location(node, statement)
                    node.end_lineno, node.end_col_offset = statement.lineno, statement.col_offset
                marked.append(call)
            marked.append(self.visit(statement))
        return marked

    def generic_visit(self, node):
        before = self.inside
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.inside = True
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, self._block(body))
        for handler in getattr(node, "handlers", []):
            self.generic_visit(handler)
        for case in getattr(node, "cases", []):
            self.generic_visit(case)
        self.inside = before
        return node


class Reached:
    """A plugin of pytest: what each test reaches, its fixtures' share included."""

    def __init__(self):
        self.now, self.by_fixture, self.found = set(), {}, {}

    def reached(self, file, line):
        self.now.add((file, line))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        before, self.now = self.now, set()
        try:
            return (yield)
        finally:
            self.by_fixture[id(fixturedef)] = (fixturedef, self.now)
            self.now = before | self.now

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        self.now, start = set(), time.perf_counter()
        result = yield
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            for one in definitions:
                self.now |= self.by_fixture.get(id(one), (one, set()))[1]
        self.found[item.nodeid] |= {
            "seconds": time.perf_counter() - start,
            "reached": sorted(self.now),
        }
        return result

    def pytest_runtest_logreport(self, report):
        entry = self.found.setdefault(report.nodeid, {"outcome": "passed"})
        if report.outcome != "passed":
            entry["outcome"] = report.outcome


def instrument(package: Path, files: list[str], reached) -> None:
    """These modules, imported from now on, call ``reached``."""
    builtins.__reached__ = reached
    wanted = {str(package / file): file for file in files}
    loader = importlib.machinery.SourceFileLoader
    plain, get = loader.source_to_code, loader.get_code

    def marked(self, data, path, *, _optimize=-1):
        if str(path) in wanted:
            tree = Marked(wanted[str(path)]).visit(ast.parse(data))
            return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        return plain(self, data, path, _optimize=_optimize)

    def code(self, fullname):  # no byte code of other runs
        path = self.get_filename(fullname)
        return (
            self.source_to_code(self.get_data(path), path)
            if path in wanted
            else get(self, fullname)
        )

    loader.source_to_code, loader.get_code = marked, code
