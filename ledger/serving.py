"""An HTTP server as a process: it says when it listens, and ends when it is told to, without ending the process.

Shared by whatever serves; what is served, and under which bounds, is in the caller's configuration.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: object = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._on_listening()


def run_server(config: uvicorn.Config, on_listening: Callable[[], None]) -> bool:
    """Serve until the process is told to stop (SIGINT, SIGTERM); whether it ever listened.

    ``on_listening`` is called once requests are taken.
    """
    server = _Server(config, on_listening)
    with _signals_taken():
        server.run()
    return server.started


@contextmanager
def _signals_taken() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server and not the process: it raises them again behind its own end."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.signal(one, lambda *_: None) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
