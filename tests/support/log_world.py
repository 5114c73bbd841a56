"""A small log in a directory, and a check of it that trusts nothing but bytes: for tests of the store and sequencer."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.core import canonical, merkle, tiles
from ledger.core.checkpoint import Checkpoint, open_checkpoint
from ledger.core.index import index_keys
from ledger.core.key_trees import KeyTrees
from ledger.core.note import parse_vkey
from ledger.core.sparse_map import SparseMap
from ledger.engines.codec import MsgspecCodec
from ledger.engines.stored_index import StoredIndex
from ledger.ports import CheckpointRecord, EntryStore
from ledger.ports.index import GrowingIndex
from ledger.sequencer.draft import AttemptDraft, Draft
from ledger.sequencer.seal import Sealer
from ledger.sequencer.sequencer import Sequencer
from ledger.store.engine import open_engine
from ledger.store.entries import SqlEntryStore
from ledger.store.migrate import upgrade
from ledger.store.record import FileCheckpointRecord
from ledger.vault.ed25519 import Ed25519Signer, Ed25519Verifier
from ledger.wiring.index import open_index

ORIGIN = "ledger.example/test"
START_MS = 1_500_000_000_000
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
VERIFIER = Ed25519Verifier(parse_vkey(SIGNER.vkey()))

Reached = Callable[[str], None]


def pass_by(step: str) -> None:
    """Do nothing at any step."""


class SetClock:
    """A clock that stands where it is set."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


@dataclass
class World:
    """One log: its directory, its adapters, its sequencer and its sealer."""

    directory: Path
    store: EntryStore
    record: CheckpointRecord
    sequencer: Sequencer
    sealer: Sealer
    clock: SetClock

    def close(self) -> None:
        """Stop the writer and close the database."""
        self.sequencer.close()
        close = getattr(self.store, "close", None)
        if close is not None:
            close()


def open_store(directory: Path, reached: Reached = pass_by) -> SqlEntryStore:
    """The store in ``directory``, made when it is not there."""
    url = f"sqlite:///{directory}/ledger.db"
    if not (directory / "ledger.db").exists():
        upgrade(url)
    return SqlEntryStore(open_engine(url), reached)


def open_log_index(directory: Path, reached: Reached = pass_by) -> StoredIndex:
    """The stored index of the log in ``directory``."""
    return open_index(open_engine(f"sqlite:///{directory}/ledger.db"), reached)


def open_world(
    directory: Path,
    reached: Reached = pass_by,
    *,
    store: EntryStore | None = None,
    record: CheckpointRecord | None = None,
    index: GrowingIndex | None = None,
    batch_items_max: int = 1000,
) -> World:
    """The log in ``directory``, made (but not opened with an entry) when it is not there."""
    store = store or open_store(directory, reached)
    record = record or FileCheckpointRecord(directory / "signed", reached)
    clock = SetClock()
    sequencer = Sequencer(store, MsgspecCodec(), clock, batch_items_max=batch_items_max, reached=reached)
    sealer = Sealer(
        store,
        sequencer,
        record,
        origin=ORIGIN,
        signers=[SIGNER],
        verifiers=[VERIFIER],
        index=index or open_log_index(directory, reached),
        reached=reached,
    )
    return World(directory, store, record, sequencer, sealer, clock)


def tag(number: int) -> str:
    """The tag of account ``number``."""
    return "a_" + hashlib.sha256(b"account %d" % number).hexdigest()[:32]


def draft(kind: str, name: str, **members: canonical.JsonValue) -> Draft:
    """A draft with the uid ``kind/name``; ``at`` is the start unless stated."""
    common: dict[str, canonical.JsonValue] = {"at": START_MS, "actor": "system:test", "via": "api"}
    return Draft({**common, "kind": kind, "uid": f"{kind}/{name}", **members})


def opening(accounts: int = 3) -> list[Draft]:
    """The log's first entries: itself, a developer with an app and an endpoint, accounts with a grant each."""
    drafts = [
        draft("ledger.opened", "0", origin=ORIGIN, vkey=SIGNER.vkey(), rule_set="rules-1", map_fn=1),
        draft("developer.registered", "dev-a", developer="dev-a"),
        draft("app.registered", "app-a", app="app-a", developer="dev-a"),
        draft(
            "endpoint.registered",
            "wh-a",
            endpoint="wh-a",
            app="app-a",
            developer="dev-a",
            environment="prod",
            url="https://a.example/hook",
        ),
    ]
    for number in range(accounts):
        drafts.append(draft("account.registered", tag(number), account=tag(number), identity="0" * 64))
        drafts.append(grant(number))
    return drafts


def grant(number: int, name: str = "") -> Draft:
    """Account ``number`` grants its posts to the developer's app."""
    name = name or f"g-{number}"
    return draft(
        "grant.issued",
        name,
        grant=name,
        account=tag(number),
        developer="dev-a",
        app="app-a",
        environment="prod",
        scopes=["posts"],
    )


def revocation(number: int) -> Draft:
    """Account ``number`` revokes what :func:`grant` granted."""
    return draft("grant.revoked", f"g-{number}", grant=f"g-{number}", account=tag(number), developer="dev-a")


def settlement(name: str, number: int = 0) -> Draft:
    """A delivery of account ``number`` that ended well."""
    return draft(
        "delivery.settled",
        f"{name}/1/transport",
        delivery=name,
        attempt=1,
        by="transport",
        account=tag(number),
        subjects=[tag(number + 1)],
        developer="dev-a",
        started_at=START_MS,
        status=200,
        disclosure="confirmed",
    )


def attempt(name: str, number: int = 0, **members: canonical.JsonValue) -> AttemptDraft:
    """A request to send account ``number``'s post to the endpoint."""
    stated: dict[str, canonical.JsonValue] = {
        "actor": "system:gate",
        "via": "gate",
        "delivery": name,
        "attempt": 1,
        "event": "e_" + "0" * 32,
        "event_type": "tweet_create_events",
        "private": False,
        "channel": "push",
        "account": tag(number),
        "subjects": [],
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "endpoint": "wh-a",
        "payload": "1" * 64,
        "body_bytes": 256,
        "worker": "w1",
    }
    return AttemptDraft({**stated, **members})


def check_world(
    directory: Path,
    acknowledged: Mapping[str, str] | None = None,
    earlier: Sequence[Checkpoint] = (),
) -> list[dict[str, canonical.JsonValue]]:
    """Assert that the log in ``directory`` is whole, from its bytes alone; its entries' members.

    ``acknowledged`` are uids and hex leaf hashes that somebody was told are durable; ``earlier`` are checkpoints that
    were signed and must be beginnings of the log.
    """
    connection = sqlite3.connect(directory / "ledger.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT seq, uid, leaf_hash, data FROM entries ORDER BY seq").fetchall()
        (head,) = connection.execute("SELECT size FROM ledger_head").fetchone()
        stored_tiles = dict(connection.execute("SELECT path, data FROM tiles"))
        published = connection.execute("SELECT checkpoint FROM published_checkpoint").fetchone()
    finally:
        connection.close()
    entries = _check_chain(rows)
    assert head == len(rows), "the head row counts the entries"
    leaves = [merkle.hash_leaf(row[3]) for row in rows]
    by_uid = {row[1]: leaf.hex() for row, leaf in zip(rows, leaves, strict=True)}
    for uid, leaf in (acknowledged or {}).items():
        assert by_uid.get(uid) == leaf, f"{uid} was acknowledged and is not there"
    _check_index(entries, leaves)
    _check_tiles(stored_tiles, leaves)
    signed_notes = [published[0]] if published else []
    if (directory / "signed").exists():
        signed_notes.append((directory / "signed").read_bytes())
    for checkpoint in [
        *earlier,
        *(open_checkpoint(note, ORIGIN, [VERIFIER]).checkpoint for note in signed_notes),
    ]:
        assert merkle.root_of(leaves[: checkpoint.size]) == checkpoint.root, (
            "a signed tree is not a beginning"
        )
        assert entries[checkpoint.size - 1]["kind"] == "index.sealed"
        for tile in tiles.tiles_added(0, checkpoint.size):
            full = tiles.format_path(tile.full())
            assert tiles.format_path(tile) in stored_tiles or full in stored_tiles, "a signed tile is missing"
    return entries


def _check_chain(rows: Sequence[tuple[int, str, bytes, bytes]]) -> list[dict[str, canonical.JsonValue]]:
    prev, recorded_at = "0" * 64, 0
    entries = []
    for place, (seq, uid, leaf, data) in enumerate(rows):
        members = canonical.decode(data)
        assert (seq, members["seq"], members["uid"], members["prev"]) == (place, place, uid, prev)
        assert leaf == hashlib.sha256(b"\0" + data).digest()
        assert isinstance(members["recorded_at"], int)
        assert members["recorded_at"] >= recorded_at
        prev, recorded_at = leaf.hex(), members["recorded_at"]
        entries.append(members)
    assert len({row[1] for row in rows}) == len(rows), "uids are unique"
    return entries


def _check_index(entries: Sequence[Mapping[str, canonical.JsonValue]], leaves: Sequence[bytes]) -> None:
    trees, sparse_map, done, sealed_before = KeyTrees(), SparseMap(), 0, -1
    for seq, members in enumerate(entries):
        if members["kind"] != "index.sealed":
            continue
        map_size = members["map_size"]
        assert isinstance(map_size, int)
        assert sealed_before < map_size <= seq, "an index is at most one seal behind"
        for place in range(done, map_size):
            trees.append_entry(index_keys(entries[place]), place, leaves[place])
        sparse_map.update(trees.rows())
        assert members["map_root"] == sparse_map.root().hex()
        done, sealed_before = map_size, seq


def _check_tiles(stored: Mapping[str, bytes], leaves: Sequence[bytes]) -> None:
    levels = {0: list(leaves)}
    for path, data in sorted(stored.items()):
        tile = tiles.parse_path(path)
        for level in range(1, tile.level + 1):
            below = levels[level - 1]
            levels.setdefault(
                level, [merkle.root_of(below[i : i + 256]) for i in range(0, len(below) - 255, 256)]
            )
        assert data == b"".join(levels[tile.level][tile.start : tile.end]), (
            f"{path} is not what the entries give"
        )
