"""docs/formats.md against the code: every kind and member, every record, and example bytes that are made again here."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from ledger.core import canonical
from ledger.core.entries import COMMON_MEMBERS, KINDS, Evidence, Observed, ReceivedBy
from ledger.core.entries.codec import MemberRule, rules_of
from ledger.core.index import encode_key_leaf, index_keys, key_position, leaf_node, value_hash
from ledger.core.key_trees import KeyTrees
from ledger.core.scopes import EVENT_TYPES
from ledger.core.tlog_proof import format_tlog_proof
from ledger.ingest.schema import PLATFORM_KINDS, record_type
from ledger.ingest.sources import open_source
from ledger.ports import StoredEntry
from ledger.settings import load_settings
from ledger.transparency.publish import publish
from ledger.wiring import create_ledger, open_ledger

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "formats.md").read_text("utf-8")
RECORDS = ROOT / "docs" / "examples" / "records.jsonl"
NOW_MS = 1_536_537_600_000
"""2018-09-10T00:00:00Z."""
NESTED = {"evidence": Evidence, "observed": Observed, "received_by": ReceivedBy}
ACCOUNT_ID, EVENT_ID = "1001", "e-3"
DELIVERY_SEQ, PAIR = 14, "dev-b"


class StandingClock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return NOW_MS


class CountedRandomness:
    """Bytes that are the same in every run."""

    def __init__(self) -> None:
        self._calls = 0

    def token(self, size_bytes: int) -> bytes:
        self._calls += 1
        return hashlib.shake_256(b"docs %d" % self._calls).digest(size_bytes)


def make_examples(directory: Path) -> dict[str, str]:
    """Name -> text of every example of the page, from the ledger that the sample records make."""
    settings = load_settings({}, str(directory / "docs.db"))
    clock, randomness = StandingClock(), CountedRandomness()
    create_ledger(settings, "ledger.example/demo", clock=clock, randomness=randomness)
    with open_ledger(settings, clock=clock, randomness=randomness) as ledger:
        ledger.import_from(open_source(str(RECORDS), io.BytesIO()))
        note = ledger.sealer.seal().note
        rows = list(ledger.store.fetch_range(0, ledger.store.size()))
        subject = ledger.vault.find([ACCOUNT_ID])[ACCOUNT_ID]
        proof = ledger.prove_entry(rows[DELIVERY_SEQ])
        assert proof is not None
        publish(ledger.store, directory / "public", ledger.vkey)
        bundle = (directory / "public/tile/entries/000.p/20").read_bytes()
        tile = (directory / "public/tile/0/000.p/20").read_bytes()
        delivery = canonical.decode(rows[DELIVERY_SEQ].data)
        registration = next(
            members
            for members in (canonical.decode(row.data) for row in rows)
            if members["kind"] == "account.registered" and members["account"] == subject.tag
        )
        return {
            "entry": rows[1].data.decode(),
            "leaf": f"leaf hash of entry 1  {rows[1].leaf_hash.hex()}\n"
            f"prev of entry 2       {canonical.decode(rows[2].data)['prev']}",
            "delivery": rows[DELIVERY_SEQ].data.decode(),
            "commitment": f"subject key   {subject.key.hex()}\nuid           {registration['uid']}\n"
            f"field         identity\nvalue         {ACCOUNT_ID}\ncommitment    {registration['identity']}",
            "event": f"event id      {EVENT_ID}\nin the entry  {delivery['event']}",
            "keys": "\n".join(index_keys(delivery)),
            "row": describe_row(rows, f"pair:{subject.tag}:{PAIR}"),
            "seal": rows[-1].data.decode(),
            "tile": f"{tile[:32].hex()}  hash 0\n{tile[32:64].hex()}  hash 1",
            "bundle": f"{bundle[:2].hex()}  {int.from_bytes(bundle[:2])} bytes follow\n{bundle[2:20].hex()}  "
            f"{bundle[2:20].decode()} ...",
            "vkey": ledger.vkey,
            "checkpoint": note.decode().rstrip("\n"),
            "proof": format_tlog_proof(proof).decode().rstrip("\n"),
        }


def describe_row(rows: list[StoredEntry], key: str) -> str:
    """The row of ``key`` over all entries but the seal at the end, and how it enters the map."""
    trees = KeyTrees()
    for row in rows[:-1]:
        trees.append_entry(index_keys(canonical.decode(row.data)), row.seq, row.leaf_hash)
    found = trees.row(key)
    assert found is not None
    position, value = key_position(key), value_hash(found)
    last = encode_key_leaf(found.last_seq, rows[found.last_seq].leaf_hash)
    return (
        f"key        {key}\nlast leaf  {last.hex()}\ncount      {found.count}\nlast_seq   {found.last_seq}\n"
        f"key_root   {found.key_root.hex()}\nK          {position.hex()}\nV          {value.hex()}\n"
        f"leaf node  {leaf_node(position, value).hex()}"
    )


def shown_examples() -> dict[str, str]:
    """Name -> text of the blocks of the page that stand behind ``<!-- example: NAME -->``."""
    return dict(re.findall(r"<!-- example: (\w+) -->\n```text\n(.*?)\n```", PAGE, re.DOTALL))


def table(heading: str) -> Iterator[list[str]]:
    """The cells of each row of the first table under ``heading``, without its head."""
    section = PAGE.partition(f"\n{heading}\n")[2]
    assert section, f"there is no heading {heading}"
    lines = [line for line in re.split(r"\n#", section)[0].splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def ticked(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def as_shown(rule: MemberRule) -> str:
    return rule.name + ("?" if rule.optional else "")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_examples(tmp_path_factory.mktemp("docs"))


def test_every_example_of_the_page_is_what_the_code_makes(examples: dict[str, str]) -> None:
    assert shown_examples() == examples


def test_every_kind_is_listed_with_exactly_its_members() -> None:
    listed = {
        kind: sorted(ticked(members)) for kinds, members, _ in table("## Kinds") for kind in ticked(kinds)
    }
    assert listed == {
        kind: sorted(as_shown(rule) for rule in rules_of(entry) if rule.name not in COMMON_MEMBERS)
        for kind, entry in KINDS.items()
    }


def test_the_common_members_are_listed() -> None:
    assert sorted(ticked(row[0])[0] for row in table("### Members of every entry")) == sorted(COMMON_MEMBERS)


def test_nested_objects_are_listed_with_exactly_their_members() -> None:
    listed = {ticked(name)[0]: sorted(ticked(members)) for name, members, _ in table("### Nested objects")}
    assert listed == {
        name: sorted(as_shown(rule) for rule in rules_of(nested)) for name, nested in NESTED.items()
    }


def test_every_member_is_explained_once() -> None:
    explained = [name for names, _ in table("### What members hold") for name in ticked(names)]
    own = {field.name for entry in KINDS.values() for field in fields(entry)} - set(COMMON_MEMBERS)
    inner = {field.name for nested in NESTED.values() for field in fields(nested)}
    assert sorted(explained) == sorted(own | inner)


def test_every_record_is_listed_with_what_it_must_and_may_state() -> None:
    listed = {
        kind: (sorted(ticked(must)), sorted(ticked(may)))
        for kinds, must, may in table("## Records: the way in")
        for kind in ticked(kinds)
    }
    union = msgspec.inspect.type_info(record_type())
    assert isinstance(union, msgspec.inspect.UnionType)
    expected = {}
    for struct in union.types:
        assert isinstance(struct, msgspec.inspect.StructType)
        names = {field.name: field.required for field in struct.fields if field.name not in ("at", "uid")}
        expected[str(struct.tag)] = (
            sorted(name for name, required in names.items() if required),
            sorted(name for name, required in names.items() if not required),
        )
    assert listed == expected
    assert set(listed) == set(PLATFORM_KINDS)


def test_every_event_type_is_listed_with_its_scope() -> None:
    listed = {event: ticked(scope)[0] for events, scope in table("### Scopes") for event in ticked(events)}
    assert listed == dict(EVENT_TYPES)
