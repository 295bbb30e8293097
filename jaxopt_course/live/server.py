"""The page's server: for this machine, for whoever has the token, and to read only.

    GET /?token=...     the frame: where the sweep is, and the report in it
    GET /page           the report, as ``report.html`` will have it
    GET /events         server-sent events: where the sweep is, whenever that changes
    GET /trials.csv     and the other files of the study, once they are there

The token comes with the first address and stays in a cookie.  A ``Host`` header of another name
is refused, so that no page of the web reaches this one by a name that leads here.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from jaxopt_course.live.present import Watcher
from jaxopt_course.records import files
from jaxopt_course.records.format import CONFIRMATION, STUDY

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
TICK = 0.5  # seconds between looks
QUIET = 15.0  # seconds after which a silent connection says that it is there
FILES = (*STUDY, *(f"{CONFIRMATION}/{name}" for name in STUDY))
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src data:; connect-src 'self'; frame-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
}
REFUSED = (
    "This page needs its whole address, with the token: the command that serves it prints it.\n"
)


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def app(watcher: Watcher, token: str, ends: Callable[[], bool] = lambda: False) -> Starlette:
    """The application.

    Args:
        watcher: of the directory.
        token: that every request must have.
        ends: whether the server is about to end, so that open connections say so and close.
    """
    cookie = f"jaxopt-course-{secrets.token_hex(4)}"  # one for all ports of a machine

    def is_known(request: Request) -> bool:
        given = request.query_params.get("token") or request.cookies.get(cookie, "")
        return secrets.compare_digest(given.encode(), token.encode())

    def guarded(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def check(request: Request) -> Response:
            if not is_known(request):
                return PlainTextResponse(REFUSED, 403, HEADERS)
            response: Response = await answer(request)
            response.headers.update(HEADERS)
            return response

        return check

    async def frame(request: Request) -> Response:
        framed = asset("frame.html").replace('lang="en"', f'lang="{watcher.language}"', 1)
        response = HTMLResponse(framed)
        response.set_cookie(cookie, token, httponly=True, samesite="strict")
        return response

    async def report(request: Request) -> Response:
        text = await run_in_threadpool(watcher.page)
        return HTMLResponse(text) if text else PlainTextResponse("Nothing to show yet.\n", 404)

    async def events(request: Request) -> Response:
        told = tell(watcher, ends)
        return StreamingResponse(told, media_type="text/event-stream")

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return PlainTextResponse("There is no such file.\n", 404)
        path = watcher.directory / name
        try:
            files.require_regular(path)
        except (FileNotFoundError, ValueError):
            return PlainTextResponse("It is not there yet.\n", 404)
        return FileResponse(path, filename=Path(name).name)

    routes = [
        Route("/", guarded(frame)),
        Route("/page", guarded(report)),
        Route("/events", guarded(events)),
        Route("/{name:path}", guarded(file)),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(NAMES), www_redirect=False)
    return Starlette(routes=routes, middleware=[hosts])


async def tell(watcher: Watcher, ends: Callable[[], bool]) -> AsyncIterator[str]:
    """An event whenever something changed, and a comment now and then."""
    last, quiet = "", 0.0
    watcher.readers += 1
    try:
        while not ends():
            present = await run_in_threadpool(watcher.look)
            data = json.dumps(present._asdict(), allow_nan=False)
            if data != last:
                last, quiet = data, 0.0
                yield f"event: present\ndata: {data}\n\n"
            elif quiet >= QUIET:
                quiet = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(TICK)
            quiet += TICK
        yield "event: end\ndata: {}\n\n"
    finally:
        watcher.readers -= 1


def asset(name: str) -> str:
    """A file that stands beside this one."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")
