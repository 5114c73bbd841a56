"""Bundles made from a real ledger: what is handed out holds, and a database that was edited hands out nothing."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.core.canonical import decode
from ledger.core.completeness import CheckedCompleteness
from ledger.core.consistency import OldState
from ledger.core.key_growth import check_growth
from ledger.core.proof_files import CheckedFile, Known, check_proof_file, encode_bundle
from ledger.errors import ForkError, FormatError, ProofError, UsageError
from ledger.ingest.sources import open_source
from ledger.settings import load_settings
from ledger.transparency.proving import Page, Prover
from ledger.vault.ed25519 import verify_ed25519
from ledger.wiring import create_ledger, open_ledger
from ledger.wiring.ledger import Ledger
from ledger.wiring.proving import make_proving
from tests.support.naive_index import NaiveIndex
from tests.support.proof_samples import RECORDS

KEY = "dev:dev-a"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A sealed ledger with the sample records."""
    settings = load_settings({}, str(tmp_path / "ledger.db"))
    create_ledger(settings, "ledger.example/test")
    with open_ledger(settings) as opened:
        opened.import_from(open_source(str(RECORDS), io.BytesIO()))
        opened.sealer.seal()
        yield opened


def checked(ledger: Ledger, key: str, page: Page | None = None) -> CheckedFile:
    """What the bundle of ``key`` proves, once it was a file."""
    bundle = make_proving(ledger).prover.prove_key(key, page)
    return check_proof_file(encode_bundle(bundle, ledger.vkey, {}), Known(ledger.vkey), verify_ed25519)


def proven(ledger: Ledger, key: str, page: Page | None = None) -> CheckedCompleteness:
    found = checked(ledger, key, page).proven
    assert isinstance(found, CheckedCompleteness)
    return found


def test_a_bundle_holds_all_entries_of_its_key_in_order(ledger: Ledger) -> None:
    whole = proven(ledger, KEY)
    seqs = [
        row.seq
        for row in ledger.store.fetch_range(0, whole.map_size)
        if KEY.partition(":")[2] in (decode(row.data).get("developer"), decode(row.data).get("processor"))
    ]
    assert set(seqs) <= {item.seq for item in whole.entries}
    assert [item.seq for item in whole.entries] == sorted(item.seq for item in whole.entries)


def test_the_stored_index_gives_the_bundles_of_the_naive_one(ledger: Ledger) -> None:
    naive = Prover(ledger.store, NaiveIndex(ledger.store), ledger.origin, [ledger.verifier])
    stored = make_proving(ledger).prover
    for key in (KEY, "dev:dev-b", "dev:nobody"):
        for page in (None, Page(0, 2), Page(1), Page(last=1)):
            if key == "dev:nobody" and page is not None:
                continue
            assert stored.prove_key(key, page) == naive.prove_key(key, page)


@pytest.mark.parametrize("page", [Page(0, 1), Page(1, 2), Page(2), Page(last=2), Page(0, 10_000)])
def test_every_page_is_proven_in_its_place(ledger: Ledger, page: Page) -> None:
    whole, part = proven(ledger, KEY), proven(ledger, KEY, page)
    first, count = page.bounds(whole.count)
    assert (part.first, part.entries) == (first, whole.entries[first : first + count])
    assert part.count == whole.count


def test_pages_show_what_is_new_since_any_of_them(ledger: Ledger) -> None:
    before = checked(ledger, KEY)
    assert check_growth(before, before) == 0
    record = b'{"kind":"developer.suspended","developer":"dev-a","at":"2018-09-01T00:00:00Z"}\n'
    path = Path(ledger.settings.checkpoint_file).with_name("later.jsonl")
    path.write_bytes(record)
    ledger.import_from(open_source(str(path), io.BytesIO()))
    ledger.sealer.seal()
    earlier = before.proven
    assert isinstance(earlier, CheckedCompleteness)
    assert check_growth(before, checked(ledger, KEY)) == 1
    assert check_growth(before, checked(ledger, KEY, Page(earlier.count))) == 1
    with pytest.raises(UsageError, match="from place"):
        check_growth(before, checked(ledger, KEY, Page(0, 1)))
    with pytest.raises(ProofError) as stale:
        check_growth(checked(ledger, KEY), before)
    assert stale.value.code == "CHECKPOINT_STALE"


def test_another_key_is_no_continuation(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="another key"):
        check_growth(checked(ledger, "dev:dev-b"), checked(ledger, KEY))


def test_a_history_that_was_changed_is_told(ledger: Ledger, tmp_path: Path) -> None:
    other = load_settings({}, str(tmp_path / "other.db"))
    create_ledger(other, "ledger.example/test")
    with open_ledger(other) as second:
        second.import_from(open_source(str(RECORDS), io.BytesIO()))
        second.sealer.seal()
        with pytest.raises(ProofError) as changed:
            check_growth(checked(second, KEY), checked(ledger, KEY))
    assert changed.value.code == "HISTORY_CHANGED"


def test_two_trees_of_one_size_under_one_key_are_told_as_a_fork(ledger: Ledger) -> None:
    before = checked(ledger, KEY)
    proven_before = before.proven
    assert isinstance(proven_before, CheckedCompleteness)
    opened = proven_before.checkpoint
    forked = replace(opened, checkpoint=replace(opened.checkpoint, root=bytes(32)))
    with pytest.raises(ProofError, match="fork") as fork:
        check_growth(before, replace(before, proven=replace(proven_before, checkpoint=forked)))
    assert fork.value.code == "CHECKPOINT_INCONSISTENT"


@pytest.mark.parametrize("key", ["acct:1001", "pair:1001:dev-b", "dev:dev a", "subj:5550001"])
def test_nothing_is_proven_of_what_no_entry_could_carry(ledger: Ledger, key: str) -> None:
    with pytest.raises(FormatError, match="is not an index key"):
        make_proving(ledger).prover.prove_key(key)


def test_no_file_is_made_that_nobody_would_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    proving = make_proving(ledger)
    bundle = proving.prover.prove_key(KEY)
    monkeypatch.setattr("ledger.wiring.proving.FILE_BYTES_MAX", len(proving.encode(bundle)) - 1)
    with pytest.raises(UsageError, match="ask for pages"):
        proving.encode(bundle)


def test_a_page_beyond_the_end_or_of_too_much_is_refused(ledger: Ledger) -> None:
    prover = make_proving(ledger).prover
    with pytest.raises(UsageError):
        prover.prove_key(KEY, Page(10_000, 1))
    with pytest.raises(FormatError):
        prover.prove_key("nobody:x")


def test_nothing_is_proven_before_the_first_seal(tmp_path: Path) -> None:
    settings = load_settings({}, str(tmp_path / "ledger.db"))
    create_ledger(settings, "ledger.example/test")
    with open_ledger(settings) as opened, pytest.raises(UsageError, match="nothing is sealed yet"):
        make_proving(opened).prover.prove_key(KEY)


def test_an_entry_that_was_edited_is_handed_out_to_nobody(ledger: Ledger) -> None:
    seq = proven(ledger, KEY).entries[0].seq
    with sqlite3.connect(str(ledger.settings.database_file)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(
            "UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), '\"v\":1', '\"v\":2') AS BLOB) WHERE seq = ?",
            (seq,),
        )
    with pytest.raises(ForkError, match="is not what was sealed"):
        make_proving(ledger).prover.prove_key(KEY)


def test_growth_is_proven_from_every_earlier_size(ledger: Ledger) -> None:
    prover = make_proving(ledger).prover
    size = 20
    for old in range(1, size + 1):
        state = prover.prove_growth(old).old
        assert isinstance(state, OldState)
        assert state.size == old


@pytest.mark.parametrize("old", [0, 21, 10**9])
def test_there_is_no_growth_from_nothing_or_from_the_future(ledger: Ledger, old: int) -> None:
    with pytest.raises(UsageError):
        make_proving(ledger).prover.prove_growth(old)
