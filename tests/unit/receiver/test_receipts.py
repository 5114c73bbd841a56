"""Receipts where whoever sends, or takes them, does what should keep a developer from confirming."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ledger.core.dsse import parse_envelope
from ledger.core.receipts import read_receipt
from ledger.receiver.receipts import ReceiptSender, ReceiptSigner
from ledger.vault.ed25519 import generate
from ledger.wiring import SYSTEM_RANDOMNESS
from tests.support.log_world import SIGNER

DELIVERED = {"webhook-id": "d-1", "host": "a.example"}


@pytest.fixture
def signer() -> ReceiptSigner:
    return ReceiptSigner("dev-a", generate("dev-a", SYSTEM_RANDOMNESS), SIGNER.vkey())


@pytest.mark.parametrize(
    "host", ["", "a.example/x", "a example", 'a".example', "\xe4.example", "x" * 261, "a~b"]
)
def test_a_host_that_is_none_keeps_nobody_from_confirming(signer: ReceiptSigner, host: str) -> None:
    made = signer.sign(DELIVERED | {"host": host}, 5)
    receipt = read_receipt(parse_envelope(made))
    assert (receipt.delivery, receipt.host) == ("d-1", "unknown")


@pytest.mark.parametrize("message", ["", "d 1", "\xe4", "x" * 65, "../d"])
def test_a_message_id_that_is_none_keeps_nobody_from_confirming(signer: ReceiptSigner, message: str) -> None:
    receipt = read_receipt(parse_envelope(signer.sign(DELIVERED | {"webhook-id": message}, 5)))
    assert receipt.delivery.startswith("unnamed-")


class Service:
    """Answers the first calls with ``answers`` and later ones as it should."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.taken: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                items = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = outer.answers.pop(0) if outer.answers else outer.take(items)
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def take(self, items: list[Any]) -> bytes:
        self.taken += items
        return json.dumps({"results": [{"status": "appended"} for _ in items]}).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def sender_to(service: Service, **options: Any) -> ReceiptSender:
    url = f"http://127.0.0.1:{service.server.server_port}"
    return ReceiptSender(url, "glk_none", every_s=0.02, **options)


@pytest.mark.parametrize(
    "answer", [b"no JSON", b"{}", b"7", b'{"results":[]}', b'{"results":[7]}', b'{"results":null}']
)
def test_an_answer_that_says_nothing_is_asked_for_again(
    signer: ReceiptSigner, service: Service, answer: bytes
) -> None:
    service.answers = [answer]
    told = threading.Event()
    sender = sender_to(service, on_result=lambda receipt, result: told.set())
    receipt = signer.sign(DELIVERED, 5)
    sender.put(receipt)
    assert told.wait(10)
    assert (sender.close(), service.taken) == (0, [receipt])


def test_a_listener_that_fails_ends_nothing(signer: ReceiptSigner, service: Service) -> None:
    first = threading.Event()

    def fail(receipt: Any, result: Any) -> None:
        first.set()
        raise RuntimeError

    sender = sender_to(service, on_result=fail)
    sender.put(signer.sign(DELIVERED, 5))
    assert first.wait(10)
    sender.put(signer.sign(DELIVERED, 6))
    assert (sender.close(), len(service.taken)) == (0, 2)
