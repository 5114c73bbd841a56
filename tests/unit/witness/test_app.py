"""A witness over HTTP: media types, bounds, and what else it answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.core.add_checkpoint import REQUEST_BYTES_MAX
from ledger.core.fork_evidence import parse_fork_evidence
from ledger.errors import StoreError
from ledger.vault.ed25519 import from_seed
from tests.support.histories import History
from tests.support.witness_world import ServedWitness, make_witness

LOG = from_seed("ledger.example/acme", bytes(32))
HISTORY = History("a", LOG)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedWitness]:
    opened = make_witness(tmp_path / "w1")
    opened.book.add_key(LOG.vkey(), 0)
    with ServedWitness(opened) as made:
        yield made


def test_a_cosignature_is_a_line_of_text(served: ServedWitness) -> None:
    answer = served.post(HISTORY.request(0, 5))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text.startswith(f"\u2014 {served.opened.signer.name} ")
    assert answer.text.endswith("\n")


def test_a_conflict_is_told_with_the_media_type_of_the_protocol(served: ServedWitness) -> None:
    served.post(HISTORY.request(0, 5))
    answer = served.post(HISTORY.request(0, 9))
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        409,
        "text/x.tlog.size",
        b"5\n",
    )


def test_a_body_beyond_its_bound_is_cut_off(served: ServedWitness) -> None:
    assert served.post(bytes(REQUEST_BYTES_MAX)).status_code == 400
    assert served.post(bytes(REQUEST_BYTES_MAX + 1)).status_code == 413
    chunks = (bytes(1 << 16) for _ in range(64))
    assert httpx.post(f"{served.url}/add-checkpoint", content=chunks).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_asks_for_a_cosignature(served: ServedWitness, method: str) -> None:
    assert httpx.request(method, f"{served.url}/add-checkpoint").status_code == 405


def test_a_client_that_hangs_up_is_no_harm(served: ServedWitness) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as opened:
        opened.sendall(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 1000\r\n\r\nold 0\n")
    assert served.post(HISTORY.request(0, 5)).status_code == 200


def test_evidence_is_anybodys(served: ServedWitness) -> None:
    assert httpx.get(f"{served.url}/evidence").json() == {"evidence": []}
    served.post(HISTORY.request(0, 5))
    shown = served.post(HISTORY.fork(4).request(5, 5))
    (row,) = httpx.get(f"{served.url}/evidence").json()["evidence"]
    kept = httpx.get(f"{served.url}/evidence/{row['name']}")
    assert kept.content == shown.content
    assert parse_fork_evidence(kept.content).known == HISTORY.note(5)
    assert httpx.get(f"{served.url}/evidence/{'0' * 32}").status_code == 404


def test_it_tells_its_key_its_health_and_its_counts(served: ServedWitness) -> None:
    served.post(HISTORY.request(0, 5))
    served.post(b"junk")
    served.post(HISTORY.fork(4).request(5, 5))
    assert httpx.get(f"{served.url}/witness.vkey").text == f"{served.opened.signer.vkey()}\n"
    assert httpx.get(f"{served.url}/healthz").json() == {"status": "ok", "name": served.opened.signer.name}
    metrics = httpx.get(f"{served.url}/metrics").text
    assert 'grantledger_witness_requests_total{status="200"} 1.0' in metrics
    assert 'grantledger_witness_requests_total{status="400"} 1.0' in metrics
    assert f'grantledger_witness_size{{origin="{LOG.name}"}} 5.0' in metrics
    assert f'grantledger_witness_evidence{{origin="{LOG.name}"}} 1.0' in metrics


def test_what_cannot_be_persisted_is_not_cosigned(tmp_path: Path) -> None:
    def fail(step: str) -> None:
        if step == "witness.moved":
            raise StoreError("the disk is full")

    opened = make_witness(tmp_path / "w1", reached=fail)
    opened.book.add_key(LOG.vkey(), 0)
    with ServedWitness(opened) as served:
        answer = served.post(HISTORY.request(0, 5))
        assert (answer.status_code, b"\xe2\x80\x94" in answer.content) == (503, False)
        assert opened.book.load(LOG.name) is None
