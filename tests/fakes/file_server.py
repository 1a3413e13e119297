"""An HTTP server of a few files that goes on in the middle where it is asked to, and fails where it is told to."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FileServer:
    """Serves `files` at `url`.

    Attributes:
        files: Path without its slash → contents.
        breaks_at: Bytes after which the next answer breaks off; 0 for none.
        ranges: Whether it can go on in the middle.
        moved: Path → address where it is now.
        asked: (path, Range header) of every request.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.breaks_at = 0
        self.ranges = True
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, wanted = request.path[1:], request.headers.get("Range", "")
        self.asked.append((name, wanted))
        if name in self.moved:
            request.send_response(302)
            request.send_header("Location", self.moved[name])
            request.end_headers()
            return
        data = self.files.get(name)
        if data is None:
            request.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0
        if start >= len(data):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        stop = self.breaks_at or len(data)
        self.breaks_at = 0
        request.wfile.write(data[start:stop])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
