"""``python -m jaxopt_course.live DIRECTORY LANGUAGE``: the server beside a sweep, ends with it."""

import os
import sys
from pathlib import Path

from jaxopt_course.live.serving import address, bound, end_of, serve
from jaxopt_course.messages import printable


def main(directory: str, language: str = "en") -> None:
    """Serve until standard input ends."""
    from jaxopt_course.live.server import new_token

    if hasattr(os, "nice"):
        os.nice(10)  # the sweep comes first
    made, token = bound(), new_token()
    print(f"watch: {printable(address(made, token))}", file=sys.stderr, flush=True)
    serve(Path(directory), made, token, language, end_of(lambda: os.read(0, 1024)))


if __name__ == "__main__":
    main(*sys.argv[1:3])
