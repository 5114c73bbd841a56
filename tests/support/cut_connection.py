"""A way to a PostgreSQL server that is cut at a commit, at the moment that a test chooses.

Real sockets before a real server: the client sees its connection end, and the server what the client sent until then.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy.engine import make_url

Moment = Literal["before", "after", "meanwhile"]
"""``before``: the server never gets the COMMIT; ``after``: it has committed, and its answer is lost; ``meanwhile``: the
client loses the connection while the server commits."""

MOMENTS: tuple[Moment, ...] = ("before", "after", "meanwhile")
CHUNK_BYTES = 65_536
_COMMIT = b"COMMIT\0"
_SOCKET = ".s.PGSQL.5432"


class CutConnection:
    """Listens in a directory of its own and passes everything on to the server that listens in ``upstream``."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._planned: Moment | None = None
        self.cuts = 0
        self.directory = Path(tempfile.mkdtemp(prefix="cut-"))
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.directory / _SOCKET))
        self._listening.listen()

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listening.close()
        shutil.rmtree(self.directory)

    def url(self, url: str) -> str:
        """``url`` of the server by way of this."""
        through = make_url(url).update_query_dict({"host": str(self.directory)})
        return through.render_as_string(hide_password=False)

    def plan(self, moment: Moment) -> None:
        """Cut the connection that commits next."""
        self._planned = moment

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._upstream / _SOCKET))
                doomed = threading.Event()
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(*ends, client, doomed), daemon=True).start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, client: socket.socket, doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if source is client and data.endswith(_COMMIT) and self._planned is not None:
                    moment, self._planned = self._planned, None
                    self.cuts += 1
                    if moment == "before":
                        break
                    doomed.set()
                    target.sendall(data)
                    if moment == "meanwhile":
                        client.shutdown(socket.SHUT_RDWR)
                    return
                if source is not client and doomed.is_set():
                    # The server's answer to the COMMIT: it came as far as here.
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
