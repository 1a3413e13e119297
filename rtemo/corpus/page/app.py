"""The application behind the page: a few routes over the desk, each of which knows who asks by the token."""

from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from rtemo.corpus.page.desk import RatingDesk
from rtemo.corpus.ratings import DIMENSIONS, PRIMARY, SECONDARY, Rating
from rtemo.corpus.stages import Books
from rtemo.io.web.access import Tokens
from rtemo.io.web.gate import HEADERS, Gate, problem
from rtemo.io.web.options import WebOptions

STATIC = Path(__file__).parent / "static"
_FREE = ("/", "/page/")
_MOST_BYTES = 4096
_POLICY = {"content-security-policy": HEADERS["content-security-policy"] + "; media-src blob:"}


class RatingApplication:
    """The routes.

    Args:
        books: Where the sound of turns lies.
        desk: Which turn comes next.
    """

    def __init__(self, books: Books, desk: RatingDesk) -> None:
        self._books = books
        self._desk = desk
        self.asgi = Starlette(
            routes=[
                Route("/", self._page),
                Mount("/page", StaticFiles(directory=STATIC)),
                Route("/v1/form", self._form),
                Route("/v1/next", self._next),
                Route("/v1/earlier/{clip}", self._earlier),
                Route("/v1/audio/{clip}", self._audio),
                Route("/v1/ratings", self._rate, methods=["POST"]),
            ],
            exception_handlers={404: _unknown, 405: _unknown, 500: _failed},
        )

    async def _page(self, request: Request) -> Response:
        return FileResponse(STATIC / "rate.html", headers=_POLICY)

    async def _form(self, request: Request) -> Response:
        return _json({"rater": _rater(request), "primary": PRIMARY, "secondary": SECONDARY, "dimensions": DIMENSIONS})

    async def _next(self, request: Request) -> Response:
        return _json(self._desk.next(_rater(request)))

    async def _earlier(self, request: Request) -> Response:
        task = self._desk.earlier(_rater(request), request.path_params["clip"])
        return problem(404, "nothing was rated before", "go on") if task is None else _json(task)

    async def _audio(self, request: Request) -> Response:
        clip = request.path_params["clip"]
        path = self._books.clip_path(clip)
        if not self._desk.has(clip) or not path.is_file():
            return problem(404, "there is no such turn", "reload the page")
        return FileResponse(path, media_type="audio/wav")

    async def _rate(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                return problem(413, "this is more than a rating", "send one rating")
        try:
            rating = msgspec.json.decode(body, type=Rating)
        except (msgspec.DecodeError, RecursionError) as error:
            return problem(400, f"this is no rating ({error})", "answer every question")
        fault = self._desk.take(_rater(request), rating)
        return problem(400, fault, "reload the page") if fault else _json(self._desk.next(_rater(request)))


def guarded(application: RatingApplication, tokens: Tokens, options: WebOptions) -> ASGIApp:
    """Put the gate of the web publisher before it: tokens, limits, headers of safety."""
    return Gate(application.asgi, options, tokens, _FREE)


def _rater(request: Request) -> str:
    name: str = request.scope["state"]["access"].name
    return name


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


async def _unknown(request: Request, error: Exception) -> Response:
    return problem(getattr(error, "status_code", 404), "there is nothing here by this method", "reload the page")


async def _failed(request: Request, error: Exception) -> Response:
    return problem(500, "this is a fault of rtemo", "report it")
