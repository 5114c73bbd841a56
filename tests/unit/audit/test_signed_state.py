"""What is signed, and what was kept from earlier, against the entries."""

from __future__ import annotations

from typing import Any

from ledger.audit.verify import Verified
from ledger.engines.scalar import ScalarEngine
from tests.support.forged_logs import (
    ATTACKER,
    MemoryLog,
    add_seal,
    encode_log,
    faults_of,
    open_log,
    pad,
    sign,
    verify_source,
)


def make_entries() -> list[bytes]:
    log = open_log()
    for _ in range(3):
        pad(log, 9)
        add_seal(log)
    return encode_log(log)


ENTRIES = make_entries()


def look(entries: list[bytes], note: bytes | None, **options: Any) -> Verified:
    source = MemoryLog(entries, note)
    return verify_source(source, ScalarEngine(), **options)


def test_a_log_that_was_never_sealed_says_that_nothing_covers_it() -> None:
    verified = look(ENTRIES[:5], None)
    assert (verified.report.exit_status, verified.note) == (0, None)
    assert any("no signature covers" in note for note in verified.report.notes)


def test_without_an_earlier_checkpoint_the_report_says_that_a_rollback_was_not_checkable() -> None:
    said = "not checkable"
    assert any(said in note for note in look(ENTRIES, None).report.notes)
    assert not any(
        said in note for note in look(ENTRIES, None, earlier=[sign(ENTRIES, size=11)]).report.notes
    )


def test_every_earlier_checkpoint_of_the_log_is_one_that_it_continues() -> None:
    earlier = [sign(ENTRIES, size=size) for size in range(len(ENTRIES) + 1)]
    assert faults_of(look(ENTRIES, None, earlier=earlier).report) == set()


def test_earlier_checkpoints_are_each_checked() -> None:
    other = [*ENTRIES[:5], b"{}", *ENTRIES[6:]]
    earlier = [sign(other, size=5), sign(other, size=6), sign(other, size=20), sign(ENTRIES + ENTRIES)]
    assert faults_of(look(ENTRIES, None, earlier=earlier).report) == {
        ("CHECKPOINT_INCONSISTENT", 5),
        ("CHECKPOINT_INCONSISTENT", 19),
        ("TRUNCATED", len(ENTRIES)),
    }


def test_an_accepted_checkpoint_is_given_back_to_be_remembered() -> None:
    note = sign(ENTRIES)
    assert look(ENTRIES, note).note == note


def test_a_checkpoint_of_a_broken_log_is_not_given_back() -> None:
    for note in (sign(ENTRIES, ATTACKER), sign([*ENTRIES, b"{}"])):
        assert look(ENTRIES, note).note is None
