"""A real HTTP server for a published log in a directory, which can be told to misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Behaviour:
    """What the server does to paths that hold ``where``; ``what`` None: nothing."""

    def __init__(self) -> None:
        self.what: str | None = None
        self.where = "tile/"
        self.released = threading.Event()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, behaviour: Behaviour, *arguments: Any, **options: Any) -> None:
        self._behaviour = behaviour
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        behaviour = self._behaviour
        what = behaviour.what if behaviour.where in self.path else None
        if what == "hang":
            behaviour.released.wait(120)
            self.close_connection = True
        elif what == "fail":
            self.send_error(500)
        elif what == "truncate":
            self.send_response(200)
            self.send_header("content-length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            self.close_connection = True
        elif what == "flood":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                for _ in range(2_000):
                    self.wfile.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            except OSError:
                pass
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def serving_directory(directory: Path) -> Iterator[tuple[str, Behaviour]]:
    """The URL of ``directory``, and what its server does."""
    behaviour = Behaviour()
    handler = partial(_Handler, behaviour, directory=str(directory))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", behaviour
    finally:
        behaviour.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
