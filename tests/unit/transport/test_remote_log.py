"""A published log at a URL: read as a directory is, from servers that fail, drip, lie and hang."""

from __future__ import annotations

import gzip
import http.server
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.merkle import hash_leaf, root_of
from ledger.core.tiles import TILE_WIDTH, build_tiles, bundles_added, encode_bundle, format_path
from ledger.errors import FormatError, StoreError, UsageError
from ledger.store.tile_directory import TileDirectory
from ledger.transport import fetching
from ledger.transport.fetching import Fetcher, check_base_url
from ledger.transport.remote_log import RemoteLog, fetch_checkpoint
from ledger.vault.ed25519 import from_seed

SIZE = 3 * TILE_WIDTH + 5
SIGNER = from_seed("ledger.example/acme", bytes(range(32)))
ENTRIES = [f'{{"n":{n}}}'.encode() for n in range(SIZE)]


@dataclass
class Served:
    """A server's files, and how it behaves: ``answer`` may give another status, headers and body for a path."""

    files: dict[str, bytes]
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[str, int], tuple[int, dict[str, str], bytes] | None] = lambda path, time: None


def published() -> dict[str, bytes]:
    hashes = [hash_leaf(entry) for entry in ENTRIES]
    joined = b"".join(hashes)
    files = {
        format_path(tile): data
        for tile, data in build_tiles(
            0, SIZE, lambda start, end: joined[32 * start : 32 * end], lambda tile: None
        )
    }
    for bundle in bundles_added(0, SIZE):
        files[format_path(bundle)] = encode_bundle(ENTRIES[bundle.start : bundle.end])
    files["checkpoint"] = sign_checkpoint(Checkpoint(SIGNER.name, SIZE, root_of(hashes)), [SIGNER])
    return files


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.removeprefix("/log/")
            served.asked[path] += 1
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            data = served.files.get(path)
            found = (404, b"gone") if data is None else (200, data)
            status, headers, body = served.answer(path, served.asked[path]) or (found[0], {}, found[1])
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if "content-length" in headers:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """Say nothing: clients hang up on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}/log"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 0.001)
    with serving(Served(published())) as one:
        yield one


@pytest.fixture
def log(served: Served) -> Iterator[RemoteLog]:
    opened = RemoteLog.open(served.url)
    yield opened
    opened.close()


def test_it_reads_what_the_same_files_in_a_directory_give(
    served: Served, log: RemoteLog, tmp_path: Path
) -> None:
    for path, data in served.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    directory = TileDirectory.open(tmp_path)
    assert log.checkpoint() == directory.checkpoint()
    assert log.size_available() == directory.size_available() == SIZE
    for first in range(0, SIZE, TILE_WIDTH):
        count = min(TILE_WIDTH, SIZE - first)
        assert log.read_block(first, count) == directory.read_block(first, count)
    for index in range(4):
        here, there = bytearray(20_000), bytearray(20_000)
        assert log.read_bundle(index, memoryview(here)) == directory.read_bundle(index, memoryview(there))
        assert here == there


def test_another_process_gets_the_log_without_its_connections(log: RemoteLog) -> None:
    log.read_block(0, TILE_WIDTH)
    other = pickle.loads(pickle.dumps(log))
    assert other == log
    assert other.read_block(TILE_WIDTH, TILE_WIDTH).entries == ENTRIES[TILE_WIDTH : 2 * TILE_WIDTH]
    other.close()


def test_every_file_is_fetched_once_however_far_ahead(served: Served, log: RemoteLog) -> None:
    for first in range(0, SIZE, TILE_WIDTH):
        log.read_block(first, min(TILE_WIDTH, SIZE - first))
    assert set(served.asked.values()) == {1}


def test_what_follows_is_fetched_before_it_is_asked_for(served: Served, log: RemoteLog) -> None:
    log.read_tile("tile/0/000")
    log.close()  # waits for what is under way
    assert served.asked["tile/0/000"] == 1
    assert any(served.asked[path] for path in ("tile/0/001", "tile/0/002", "tile/0/003.p/5"))


def test_a_missing_bundle_is_a_fault_and_a_missing_tile_is_none(served: Served, log: RemoteLog) -> None:
    del served.files["tile/entries/001"], served.files["tile/0/002"]
    block = log.read_block(TILE_WIDTH, TILE_WIDTH)
    assert (block.entries, block.fault) == ([], "tile/entries/001 is missing")
    assert log.read_tile("tile/0/002") is None


def test_the_full_file_stands_in_for_a_partial_one_that_is_gone(served: Served, log: RemoteLog) -> None:
    more = [*ENTRIES[3 * TILE_WIDTH :], *[b"later"] * (TILE_WIDTH - 5)]
    del served.files["tile/entries/003.p/5"], served.files["tile/0/003.p/5"]
    served.files["tile/entries/003"] = encode_bundle(more)
    served.files["tile/0/003"] = b"".join(map(hash_leaf, more))
    block = log.read_block(3 * TILE_WIDTH, 5)
    assert block.entries == ENTRIES[3 * TILE_WIDTH :]
    assert block.stored_hashes == b"".join(map(hash_leaf, block.entries))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_recovers_is_asked_again(served: Served, log: RemoteLog, status: int) -> None:
    served.answer = lambda path, time: (status, {"retry-after": "0"}, b"") if time < 3 else None
    assert log.read_tile("tile/0/001") == served.files["tile/0/001"]
    assert served.asked["tile/0/001"] == 3


def test_a_server_that_keeps_failing_is_given_up(served: Served, log: RemoteLog) -> None:
    served.answer = lambda path, time: (500, {}, b"")
    with pytest.raises(StoreError, match="answers 500; tried 4 times"):
        log.read_tile("tile/0/001")
    assert served.asked["tile/0/001"] == fetching.TRIES


def test_a_body_that_breaks_off_is_asked_for_again(served: Served, log: RemoteLog) -> None:
    served.answer = lambda path, time: (200, {"content-length": "8192"}, b"short") if time == 1 else None
    assert log.read_tile("tile/0/001") == served.files["tile/0/001"]


def test_a_server_that_is_not_there_is_told(served: Served, log: RemoteLog) -> None:
    nobody = Fetcher("http://127.0.0.1:1", sleep=lambda seconds: None)
    with pytest.raises(StoreError, match="tried 4 times"):
        nobody.get("checkpoint", 10)
    nobody.close()


@pytest.mark.parametrize("surplus", [1, 1 << 20])
def test_a_body_beyond_its_bound_is_refused(served: Served, log: RemoteLog, surplus: int) -> None:
    served.files["tile/0/001"] = bytes(8192 + surplus)
    with pytest.raises(StoreError, match="more than the 8,192 bytes"):
        log.read_tile("tile/0/001")
    assert served.asked["tile/0/001"] == 1


def test_a_small_body_that_unpacks_beyond_its_bound_is_refused(served: Served, log: RemoteLog) -> None:
    bomb = gzip.compress(bytes(64 << 20), 9)
    served.answer = lambda path, time: (200, {"content-encoding": "gzip"}, bomb)
    with pytest.raises(StoreError, match="more than the 8,192 bytes"):
        log.read_tile("tile/0/001")


def test_a_packed_body_is_unpacked(served: Served, log: RemoteLog) -> None:
    packed = gzip.compress(served.files["tile/entries/001"])
    served.answer = lambda path, time: (200, {"content-encoding": "gzip"}, packed)
    assert log.read_block(TILE_WIDTH, TILE_WIDTH).entries == ENTRIES[TILE_WIDTH : 2 * TILE_WIDTH]


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(bytes(4000), mtime=0)[:-20]], ids=["none", "cut"])
def test_a_body_that_is_no_whole_gzip_is_refused(served: Served, log: RemoteLog, body: bytes) -> None:
    served.answer = lambda path, time: (200, {"content-encoding": "gzip"}, body)
    with pytest.raises(StoreError, match="tried 4 times"):
        log.read_tile("tile/0/001")


def test_an_encoding_that_nobody_asked_for_is_refused(served: Served, log: RemoteLog) -> None:
    served.answer = lambda path, time: (200, {"content-encoding": "br"}, b"x")
    with pytest.raises(StoreError, match="which was not asked for"):
        log.read_tile("tile/0/001")


def test_a_redirect_is_not_followed(served: Served, log: RemoteLog) -> None:
    served.answer = lambda path, time: (302, {"location": "http://127.0.0.1:1/"}, b"")
    with pytest.raises(StoreError, match="answers 302"):
        log.read_tile("tile/0/001")


@pytest.mark.parametrize("status", [401, 403])
def test_entries_that_are_for_auditors_are_told_with_the_fix(
    served: Served, log: RemoteLog, status: int
) -> None:
    served.answer = lambda path, time: (status, {}, b"")
    with pytest.raises(StoreError, match="GRANTLEDGER_API_KEY"):
        log.read_block(0, TILE_WIDTH)


def test_a_key_goes_with_every_request(served: Served) -> None:
    log = RemoteLog.open(served.url, "glk_1_2")
    log.read_tile("tile/0/000")
    log.close()
    assert {each.get("authorization") for each in served.headers} == {"Bearer glk_1_2"}


def test_a_key_stands_in_no_description(served: Served) -> None:
    log = RemoteLog.open(served.url, "glk_secret")
    assert "secret" not in repr(log) + log.describe()


def test_what_is_no_checkpoint_is_a_log_without_entries(served: Served) -> None:
    served.files["checkpoint"] = b"<html>"
    log = RemoteLog.open(served.url)
    assert (log.size_available(), log.checkpoint()) == (0, b"<html>")
    assert log.read_block(0, TILE_WIDTH).entries == []
    log.close()


def test_a_log_without_a_checkpoint_is_told(served: Served) -> None:
    del served.files["checkpoint"]
    with pytest.raises(StoreError, match="answers 404; is this a published log"):
        fetch_checkpoint(served.url)


def test_a_claimed_size_of_2_to_the_53_asks_for_nothing_beyond_what_was_read(served: Served) -> None:
    served.files["checkpoint"] = sign_checkpoint(
        Checkpoint(SIGNER.name, 2**53 - 1, hash_leaf(b"any")), [SIGNER]
    )
    log = RemoteLog.open(served.url)
    assert len(log.read_block(0, TILE_WIDTH).entries) == TILE_WIDTH
    log.close()
    assert sum(served.asked.values()) < 60


def test_what_is_no_path_of_a_tile_is_never_asked_for(served: Served, log: RemoteLog) -> None:
    with pytest.raises(FormatError):
        log.read_tile("tile/0/../../secret")
    assert set(served.asked) == {"checkpoint"}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http://",
        "https://u:p@x/",
        "https://x/?a=b",
        "https://x/#a",
        "https://x:99999/",
        "http://[::1",
        "x",
    ],
)
def test_what_is_no_url_of_a_log_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no URL of a log"):
        check_base_url(url)


def test_a_key_is_not_sent_in_clear_but_on_this_machine() -> None:
    assert check_base_url("http://127.0.0.1:8400/", with_key=True) == "http://127.0.0.1:8400"
    assert check_base_url("https://ledger.example/log/", with_key=True) == "https://ledger.example/log"
    with pytest.raises(UsageError, match="in clear"):
        check_base_url("http://ledger.example", with_key=True)
