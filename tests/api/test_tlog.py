"""The published log over HTTP: what is shown, to whom, under which names and headers."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import httpx
import pytest

from ledger.core.checkpoint import open_checkpoint
from ledger.core.merkle import check_inclusion, hash_leaf, prove_inclusion
from ledger.core.tiles import TileId, decode_bundle, format_path, node_reader, parse_path
from tests.api.callers import Caller
from tests.support.service_world import ServiceWorld

ACCOUNTS = 130


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    """A served ledger with a published checkpoint over one full tile, and entries behind it that none covers."""
    with ServiceWorld(tmp_path_factory.mktemp("tlog")) as made:
        made.serve()
        for number in range(2 * ACCOUNTS):
            made.new_account(str(number))
        made.service.ledger.sealer.seal()
        made.new_account("later")
        yield made


@pytest.fixture(scope="module")
def size(world: ServiceWorld) -> int:
    published = world.service.ledger.load_published()
    assert published is not None
    assert 256 < published.checkpoint.size < world.service.ledger.store.size()
    return published.checkpoint.size


@pytest.fixture(scope="module")
def anybody(world: ServiceWorld) -> Iterator[httpx.Client]:
    with world.client() as client:
        yield client


@pytest.fixture(scope="module")
def auditor(world: ServiceWorld) -> Iterator[httpx.Client]:
    key = Caller.new(world)._issuing.issue_key("auditor", "").text
    with world.client(authorization=f"Bearer {key}") as client:
        yield client


def raw_status(world: ServiceWorld, target: str, authorization: str) -> int:
    """The status for exactly this target, which no client library touches."""
    with socket.create_connection(("127.0.0.1", world.port), timeout=10) as opened:
        head = (
            f"GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\nconnection: close\r\n\r\n"
        )
        opened.sendall(head.encode())
        with opened.makefile("rb") as answer:
            return int(answer.readline().split()[1])


def test_the_checkpoint_is_the_published_note_byte_for_byte(
    world: ServiceWorld, anybody: httpx.Client
) -> None:
    answer = anybody.get("/checkpoint")
    assert answer.content == world.service.ledger.store.load_checkpoint()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_checkpoint_is_cached_for_a_second_and_asked_again_by_its_tag(anybody: httpx.Client) -> None:
    first = anybody.get("/checkpoint")
    assert first.headers["cache-control"] == "public, max-age=1"
    again = anybody.get("/checkpoint", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert anybody.get("/checkpoint", headers={"if-none-match": '"other"'}).status_code == 200


def test_the_key_is_the_logs_own(world: ServiceWorld, anybody: httpx.Client) -> None:
    assert anybody.get("/log.vkey").text == f"{world.service.ledger.vkey}\n"


def test_every_entry_is_proven_from_what_is_served(
    world: ServiceWorld, anybody: httpx.Client, auditor: httpx.Client, size: int
) -> None:
    opened = open_checkpoint(
        anybody.get("/checkpoint").content, world.service.ledger.origin, [world.service.ledger.verifier]
    )

    def load(tile: TileId) -> bytes | None:
        answer = anybody.get(f"/{format_path(tile)}")
        return answer.content if answer.status_code == 200 else None

    entries = decode_bundle(auditor.get("/tile/entries/000").content)
    entries += decode_bundle(auditor.get(f"/tile/entries/001.p/{size - 256}").content)
    assert len(entries) == size
    for index in (0, 255, 256, size - 1):
        proof = prove_inclusion(index, size, node_reader(size, load))
        check_inclusion(proof, index, size, hash_leaf(entries[index]), opened.checkpoint.root)


def test_tiles_are_anybodys_and_immutable(anybody: httpx.Client) -> None:
    answer = anybody.get("/tile/0/000")
    assert (answer.status_code, len(answer.content)) == (200, 8192)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("width", [1, 2, 17, 255])
def test_a_narrower_tile_is_the_beginning_of_the_wider_one(anybody: httpx.Client, width: int) -> None:
    full = anybody.get("/tile/0/000").content
    assert anybody.get(f"/tile/0/000.p/{width}").content == full[: 32 * width]


def test_nothing_behind_the_published_checkpoint_is_shown(
    anybody: httpx.Client, auditor: httpx.Client, size: int
) -> None:
    last = size - 256
    assert anybody.get(f"/tile/0/001.p/{last}").status_code == 200
    assert anybody.get(f"/tile/0/001.p/{last + 1}").status_code == 404
    assert auditor.get(f"/tile/entries/001.p/{last}").status_code == 200
    assert auditor.get(f"/tile/entries/001.p/{last + 1}").status_code == 404


def test_entries_are_for_auditors(world: ServiceWorld, anybody: httpx.Client) -> None:
    assert anybody.get("/tile/entries/000").status_code == 401
    issuing = Caller.new(world)._issuing
    for role in ("platform", "operator", "regulator"):
        key = issuing.issue_key(role, "").text
        refused = anybody.get("/tile/entries/000", headers={"authorization": f"Bearer {key}"})
        assert refused.status_code == 403, role


def test_what_an_auditor_reads_is_kept_by_no_shared_cache(auditor: httpx.Client) -> None:
    answer = auditor.get("/tile/entries/000")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["vary"] == "accept-encoding, authorization"
    assert "access-control-allow-origin" not in answer.headers


def test_an_operator_may_show_entries_to_everybody(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServiceWorld(tmp_path_factory.mktemp("open"), settings={"public_entries": True}) as made:
        made.serve()
        made.service.ledger.sealer.seal()
        with made.client() as client:
            answer = client.get("/tile/entries/000.p/1")
    assert (answer.status_code, len(decode_bundle(answer.content))) == (200, 1)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_before_the_first_seal_there_is_no_checkpoint_and_no_tile(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with ServiceWorld(tmp_path_factory.mktemp("empty")) as made:
        made.serve()
        with made.client() as client:
            assert client.get("/checkpoint").status_code == 404
            assert client.get("/tile/0/000.p/1").status_code == 404


@pytest.mark.parametrize(
    ("accepts", "is_packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("*;q=0.1, gzip;q=0", False),
        ("gzip;q=x", False),
        ("", False),
    ],
)
def test_bundles_are_packed_where_the_client_takes_it(
    auditor: httpx.Client, accepts: str, is_packed: bool
) -> None:
    plain = auditor.get("/tile/entries/000", headers={"accept-encoding": "identity"}).content
    with auditor.stream("GET", "/tile/entries/000", headers={"accept-encoding": accepts}) as answer:
        body = b"".join(answer.iter_raw())
        assert (answer.headers.get("content-encoding") == "gzip") is is_packed
    assert (gzip.decompress(body) if is_packed else body) == plain
    assert (len(body) < len(plain)) is is_packed


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/-1",
        "tile/00/000",
        "tile/0/x000/000",
        "tile/0/x000/x000/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/6/000",
        "tile/0/000/",
        "tile/0//000",
        "tile//000",
        "tile/",
        "tile/0/../0/000",
        "tile/0/./000",
        "tile/0/%30%30%30",
        "tile/0%2F000",
        "tile/%65ntries/000",
        "tile/0/000%00",
        "tile/0/000%0a",
        "tile/0/\u0661\u0662\u0663",
        "tile/entries/000.p/+1",
        "tile/entries/../0/000",
        "tile/data/000",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x999/" * 600 + "999",
        "checkpoint/",
        "log.vkey/",
    ],
)
def test_a_path_that_is_not_spelled_exactly_is_not_there(
    world: ServiceWorld, auditor: httpx.Client, path: str
) -> None:
    assert raw_status(world, f"/{path}", auditor.headers["authorization"]) in (400, 404)


def test_every_path_that_the_format_writes_is_one_that_it_reads() -> None:
    assert parse_path("tile/entries/x001/x234/067.p/3") == TileId(-1, 1_234_067, 3)
