"""The reference: every public name, from its docstring, on the page of the room it lives in.

A source says ``{rooms} transforms base`` where the names of these rooms shall stand; a name joins
them by its home, so a new one needs no line here.  A public name without a docstring, a page that
is nobody's, and a room without a page are errors.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import jaxopt_course

ROOMS = re.compile(r"^\{rooms\} (.+)$", re.M)
NAMED = re.compile(r"^\{names\} (.+)$", re.M)
FIELDS_OF_TUPLES = {"count", "index"}


class Undocumented(ValueError):
    """Public names that nobody has described, or that stand on no page."""


def homes() -> dict[str, str]:
    """The module of each public name: ``trace`` lives in ``transforms.momentum``."""
    return dict(jaxopt_course._MODULE_OF)


def undocumented(name: str, thing: Any) -> list[str]:
    """What has no words of its own: the name, or methods of the class.

    >>> undocumented("f", lambda x: x), undocumented("TABLE", {})
    (['f'], [])
    """
    if not (inspect.isclass(thing) or callable(thing)):
        return []  # a table; its words stand beside it, see data()
    missing = [] if (thing.__doc__ or "").strip() else [name]
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            public = not member.startswith("_") and member not in FIELDS_OF_TUPLES
            described = callable(value) or isinstance(value, property | classmethod | staticmethod)
            if public and described and not inspect.getdoc(value):
                missing.append(f"{name}.{member}")
    return missing


def data(module: str, name: str) -> str:
    """The comment ``#:`` above a public table, which has no docstring.

    Raises:
        Undocumented: there is none.
    """
    source = inspect.getsource(import_module(module))
    found = re.search(rf"((?:^#: .*\n)+)^{name}\b", source, re.M)
    if found is None:
        raise Undocumented(f"{module}.{name} has no comment '#: ...' above it")
    return " ".join(line.removeprefix("#:").strip() for line in found[1].splitlines())


def check(names: Mapping[str, str] | None = None) -> None:
    """Raise ``Undocumented``, with all of them, where public names have no words.

    Args:
        names: the module of each within the package; by default those of the facade.
    """
    missing = []
    for name, module in (homes() if names is None else names).items():
        thing = getattr(import_module(f"jaxopt_course.{module}"), name)
        missing += undocumented(name, thing)
    if missing:
        raise Undocumented(f"public names without a docstring: {', '.join(missing)}")


def lived_in(rooms: Iterable[str], names: Mapping[str, str]) -> dict[str, list[str]]:
    """The public names of these rooms, by module, in the order of the rooms, then of the facade."""
    found: dict[str, list[str]] = {}
    for room in rooms:
        for name, module in names.items():
            if module == room or module.startswith(f"{room}."):
                found.setdefault(module, []).append(name)
        if not any(module == room or module.startswith(f"{room}.") for module in found):
            raise Undocumented(f"no public name lives in {room}")
    return found


def entry(module: str, name: str, thing: Any) -> str:
    """The lines of one name, for ``eval-rst``."""
    path = f"jaxopt_course.{name}" if name in homes() else f"{module}.{name}"
    if inspect.isclass(thing):
        fields = ", ".join(getattr(thing, "_fields", ()))  # of a NamedTuple: the class tells them
        hidden = f"   :exclude-members: {fields}\n" if fields else ""
        listed = f"   :members:\n   :inherited-members: Module, tuple\n{hidden}"
        return f".. autoclass:: {path}\n{listed}"
    if callable(thing):
        return f".. autofunction:: {path}\n"
    return f".. py:data:: {path}\n\n   {data(module, name)}\n"


def section(module: str, names: list[str], *, words: bool) -> str:
    """A module: its heading, its own words, and its names."""
    whole = f"jaxopt_course.{module}"
    home = import_module(whole)
    title = module.rpartition(".")[2].replace("_", " ").capitalize()
    about = f".. automodule:: {whole}\n   :no-members:\n   :no-index:\n\n" if words else ""
    listed = "\n".join(entry(whole, name, getattr(home, name)) for name in names)
    return f"## {title}\n\n```{{eval-rst}}\n{about}{listed}```\n"


def expanded(text: str, names: Mapping[str, str] | None = None) -> str:
    """A source with the names of its rooms in it.

    ``{rooms} a b`` is a section a module, with the module's words; ``{names} report.write_report``
    are names that are public where they live and not in the facade.
    """
    public = homes() if names is None else names

    def of_rooms(found: re.Match[str]) -> str:
        homes_of = lived_in(found[1].split(), public)
        return "\n".join(section(module, those, words=True) for module, those in homes_of.items())

    def of_names(found: re.Match[str]) -> str:
        lines = []
        for path in found[1].split():
            module, _, name = f"jaxopt_course.{path}".rpartition(".")
            thing = getattr(import_module(module), name)
            if missing := undocumented(path, thing):
                raise Undocumented(f"public names without a docstring: {', '.join(missing)}")
            lines.append(entry(module, name, thing))
        return "```{eval-rst}\n" + "\n".join(lines) + "```\n"

    return NAMED.sub(of_names, ROOMS.sub(of_rooms, text))


def left_out(texts: Iterable[str], names: Mapping[str, str] | None = None) -> list[str]:
    """Public names that are on none of these sources."""
    public = homes() if names is None else names
    rooms = [room for text in texts for found in ROOMS.findall(text) for room in found.split()]
    shown = {n for those in lived_in(rooms, public).values() for n in those}
    return sorted(set(public) - shown)
