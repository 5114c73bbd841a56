"""Handing in counts at a service that does not do its part: what is not in the log is handed in again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from ledger.core.egress_counts import HOUR_MS, Counted
from ledger.egress.book import CountBook
from ledger.egress.handing_in import hand_in_hours
from ledger.errors import StoreError
from ledger.vault.ed25519 import generate
from ledger.wiring import SYSTEM_RANDOMNESS

KEY = generate("egress-1", SYSTEM_RANDOMNESS)
NOON = 12 * HOUR_MS


class Service:
    """Answers with ``answer``."""

    def __init__(self) -> None:
        self.answer = b"[]"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-length", str(len(outer.answer)))
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"no JSON",
        b"7",
        b"{}",
        b'{"results":7}',
        b'{"results":[]}',
        b'{"results":[7]}',
        b'{"results":[{}]}',
        b'{"results":[{"status":"thanks"}]}',
    ],
)
def test_an_hour_of_which_nobody_says_that_it_is_in_the_log_is_handed_in_again(
    tmp_path: Path, service: Service, answer: bytes
) -> None:
    book = CountBook(tmp_path / "counts.db", NOON)
    book.add("a.example", NOON, Counted(1, 2, 3))
    book.write(NOON + HOUR_MS)
    service.answer = answer
    with httpx.Client(base_url=f"http://127.0.0.1:{service.server.server_port}", trust_env=False) as client:
        with pytest.raises(StoreError):
            hand_in_hours(
                book, client, proxy="egress-1", key=KEY, log="ledger.example/x", now_ms=NOON + HOUR_MS
            )
        assert len(book.load_over(NOON + HOUR_MS)) == 1
    book.close()
