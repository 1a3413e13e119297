"""Serving the page on this machine, until it is stopped."""

import contextlib
import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path

from rtemo.api import ConfigError, RtemoError
from rtemo.api.errors import EndpointError
from rtemo.corpus.page.desk import RatingDesk
from rtemo.corpus.page.links import TOKENS_FILE, tokens_of
from rtemo.corpus.ratings import ratings_of
from rtemo.corpus.selection import read_selection
from rtemo.corpus.settings import read_settings
from rtemo.corpus.stages import Books
from rtemo.io.web.access import Tokens
from rtemo.io.web.options import WebOptions

_ADDRESS = "127.0.0.1"
_NEEDED = ("starlette", "uvicorn")


def serve_page(
    folder: Path,
    raters: tuple[str, ...],
    port: int,
    wanted: int,
    trusted: tuple[str, ...],
    on_open: Callable[[dict[str, str]], None],
) -> None:
    """Serve until interrupted; every answer is on disk before the next question.

    Args:
        folder: Of the corpus.
        raters: Names of raters that get a link besides those that have one.
        port: TCP port; 0 lets the system choose.
        wanted: Raters that a turn gets.
        trusted: Raters whose turns are gold.
        on_open: Told rater → link.

    Raises:
        RtemoError: The extra is not installed, there is nothing to rate, or the port is in use.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise RtemoError(f"rating needs {', '.join(missing)}", "run: pip install 'rtemo[corpus]'")
    import uvicorn

    from rtemo.corpus.page.app import RatingApplication, guarded

    read_settings(folder)
    selection = read_selection(folder)
    if not selection.picks:
        raise ConfigError("no turn has been chosen yet", "run `rtemo corpus build` to its end first")
    tokens = tokens_of(folder, (*trusted, *raters))
    desk = RatingDesk([pick.unit for pick in selection.picks], ratings_of(folder), wanted, trusted)
    options = WebOptions(address=_ADDRESS, port=port)
    application = guarded(RatingApplication(Books(folder), desk), Tokens(str(folder / TOKENS_FILE)), options)
    try:
        listening = socket.create_server((_ADDRESS, port))
    except OSError as error:
        raise EndpointError(f"cannot listen at {_ADDRESS}:{port} ({error.strerror})", "give another --port") from None
    with listening:
        origin = f"http://{_ADDRESS}:{listening.getsockname()[1]}"

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                # Not before: a Ctrl-C that strikes while modules are read can be lost; from here on uvicorn notes it.
                on_open({name: f"{origin}/#{token}" for name, token in tokens.items()})

        server = Server(
            uvicorn.Config(
                application,
                lifespan="off",
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=options.max_clients,
                timeout_graceful_shutdown=1,
            )
        )
        with contextlib.suppress(KeyboardInterrupt):  # that is how it ends
            server.run(sockets=[listening])
