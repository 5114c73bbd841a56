"""The drill's own receivers: two developers with a TLS key each, on loopback (delivery protocol, sections 3.4 and 3.5).

They answer challenges and check signatures as any developer's server does. Their hosts lie under ``.example``, which nobody
can own, and are found here by the drill alone: no setting of any service names them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import uvicorn

from ledger.errors import StoreError
from ledger.receiver.app import Arrival, Receiver
from ledger.reenactment.pki import Authority

LOOPBACK = "127.0.0.1"
PATH = "/webhooks/drill"
"""The same path at the same address: the circumstances of 2018."""

START_S = 20.0
_LOOK_S = 0.01


class DrillReceiver:
    """The server of ``host``, whose certificate and key lie in ``directory``; a context manager that starts and stops it.

    ``on_arrival`` is told of each delivery in the server's thread, before it is answered.
    """

    def __init__(
        self, authority: Authority, host: str, directory: Path, on_arrival: Callable[[Arrival], None]
    ) -> None:
        leaf = authority.issue(host, [host])
        self.host = host
        self.url = f"https://{host}{PATH}"
        self.spki_sha256 = leaf.spki_sha256
        self.receiver = Receiver([], on_arrival)
        certificate, key = directory / f"{host}.pem", directory / f"{host}.key"
        certificate.write_bytes(leaf.certificate_pem)
        key.touch(0o600)
        key.write_bytes(leaf.key_pem)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.receiver.application(),
                host=LOOPBACK,
                port=0,
                ssl_certfile=str(certificate),
                ssl_keyfile=str(key),
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, name=f"receiver-{host}", daemon=True)

    def __enter__(self) -> Self:
        """Listen; StoreError where that does not come about."""
        self._thread.start()
        deadline_s = time.monotonic() + START_S
        while not self._server.started:
            if time.monotonic() >= deadline_s or not self._thread.is_alive():
                raise StoreError("the drill's receivers cannot listen on loopback")
            time.sleep(_LOOK_S)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join(START_S)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    @property
    def override(self) -> str:
        """Where the host is, as a host override says it."""
        return f"{self.host}={LOOPBACK}:{self.port}"
