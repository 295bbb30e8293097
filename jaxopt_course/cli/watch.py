"""``watch``: the report of a study while its sweep runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.say import say


@dataclass(frozen=True)
class Watch(Asked):
    """Show the report of a study while its sweep runs, on a page that only this machine can open.

    jaxopt-course watch runs/digits-1

    It reads what the sweep saves, every ten seconds or so, and never touches it: open it, close it
    or kill it at any time. Ctrl-C ends it.
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out of the sweep is."""
    lang: Literal["en", "es"] = "en"
    """The language of the report: English or Spanish."""
    port: int = 0
    """Where to serve, on 127.0.0.1; default any port that is free."""


def watch(arguments: Watch) -> Answer:
    """Say the address, then serve until Ctrl-C.

    Raises:
        ValueError: the directory is no study's, the port is in use, or a package is missing.
    """
    from jaxopt_course.live import serving

    needed()
    from jaxopt_course.live.present import is_study
    from jaxopt_course.live.server import new_token
    from jaxopt_course.records import files

    directory = files.where(arguments.directory)
    if not is_study(directory):
        raise ValueError(
            f"{arguments.directory} holds no study and no sweep; --out of the command that trains "
            "says where it is"
        )
    made, token = serving.bound(arguments.port), new_token()
    url = serving.address(made, token)
    say(url, "It shows what the sweep saves, and is for this machine alone; Ctrl-C ends it.")
    return Answer(
        lambda: {"directory": directory, "url": url, "port": made.getsockname()[1]},
        then=lambda: serving.serve(directory, made, token, arguments.lang),
    )


def needed() -> None:
    """Refuse where the extra is not installed, in the words of a command.

    Raises:
        ValueError: a package is missing.
    """
    from jaxopt_course.live.serving import require

    try:
        require()
    except ImportError as error:
        raise ValueError(str(error)) from None
