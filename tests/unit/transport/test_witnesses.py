"""The way to a witness: one try, bounded in bytes and time, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ledger.core.add_checkpoint import ANSWER_BYTES_MAX
from ledger.errors import StoreError
from ledger.ports.cosigning import WitnessAnswer
from ledger.transport.witnesses import HttpWitnessCalls

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: Text/X.Tlog.Size ; charset=utf-8\r\n"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request and then does what ``answer`` does; its URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                opened, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(opened,), daemon=True).start()

    def serve(opened: socket.socket) -> None:
        with opened:
            while b"BODY" not in opened.recv(65_536):
                pass
            try:
                answer(opened)
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def post(answer: Callable[[socket.socket], None], seconds: float = 5) -> WitnessAnswer:
    calls = HttpWitnessCalls(answer_seconds=seconds)
    try:
        with server(answer) as url:
            return calls.post(f"{url}/add-checkpoint", b"BODY")
    finally:
        calls.close()


def test_an_answer_comes_with_its_media_type_without_parameters() -> None:
    answer = post(lambda opened: opened.sendall(HEAD + b"content-length: 2\r\n\r\n5\n"))
    assert answer == WitnessAnswer(200, "text/x.tlog.size", b"5\n")


def test_an_answer_without_a_media_type_has_none() -> None:
    answer = post(lambda opened: opened.sendall(b"HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n"))
    assert answer == WitnessAnswer(422, "", b"")


def test_an_answer_beyond_its_bound_is_refused() -> None:
    def flood(opened: socket.socket) -> None:
        opened.sendall(HEAD + b"\r\n")
        for _ in range(1_000):
            opened.sendall(bytes(65_536))

    with pytest.raises(StoreError, match="answered with more than"):
        post(flood)
    longest = b"x" * ANSWER_BYTES_MAX
    assert post(lambda opened: opened.sendall(HEAD + b"\r\n" + longest)).body == longest


def test_an_answer_that_drips_is_given_up_in_time() -> None:
    def drip(opened: socket.socket) -> None:
        opened.sendall(HEAD + b"\r\n")
        for _ in range(200):
            opened.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(StoreError, match="did not end in time"):
        post(drip, 0.5)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "answer",
    [
        lambda opened: None,
        lambda opened: opened.sendall(b"junk\r\n\r\n"),
        lambda opened: opened.sendall(HEAD + b"content-length: 9\r\n\r\nx"),
        lambda opened: time.sleep(1.5),
    ],
)
def test_no_whole_answer_is_told_as_not_reached(answer: Callable[[socket.socket], None]) -> None:
    with pytest.raises(StoreError, match="it cannot be reached"):
        post(answer, 0.5)


def test_nobody_there_is_told_as_not_reached() -> None:
    calls = HttpWitnessCalls()
    with pytest.raises(StoreError, match="it cannot be reached"):
        calls.post("http://127.0.0.1:1/add-checkpoint", b"BODY")
    calls.close()
