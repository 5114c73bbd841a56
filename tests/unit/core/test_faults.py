"""What is wrong between two entries and beside them, and how many faults are kept."""

from __future__ import annotations

import pytest

from ledger.core.faults import Edge, Fault, FaultList, edge_of, seam_faults, stored_faults
from ledger.core.verdicts import Code

LEAF = b"\x11" * 32


def edge(seq: int, prev: bytes = LEAF, recorded_at: int = 5) -> Edge:
    return Edge(prev.hex(), seq, recorded_at, "x")


def codes(faults: list[Fault]) -> list[str]:
    return [fault.code for fault in faults]


def test_two_entries_that_fit_have_no_fault_between_them() -> None:
    assert seam_faults(8, edge(7), LEAF, edge(8)) == []


@pytest.mark.parametrize(("seq", "code"), [(9, "SEQ_GAP"), (7, "SEQ_DUPLICATE"), (3, "SEQ_DUPLICATE")])
def test_a_seq_that_does_not_follow_is_a_gap_or_a_duplicate(seq: int, code: str) -> None:
    assert codes(seam_faults(8, edge(7), LEAF, edge(seq))) == [code]


def test_a_link_to_another_entry_breaks_the_chain() -> None:
    assert codes(seam_faults(8, edge(7), LEAF, edge(8, b"\x22" * 32))) == ["CHAIN_BROKEN"]


@pytest.mark.parametrize(("recorded_at", "found"), [(4, ["TIME_REGRESSION"]), (5, []), (6, [])])
def test_recorded_times_may_stand_but_not_go_back(recorded_at: int, found: list[str]) -> None:
    assert codes(seam_faults(8, edge(7), LEAF, edge(8, recorded_at=recorded_at))) == found


def test_after_a_malformed_entry_only_the_link_can_be_checked() -> None:
    assert seam_faults(8, None, LEAF, edge(99, recorded_at=0)) == []
    assert codes(seam_faults(8, None, LEAF, edge(99, b"\x22" * 32))) == ["CHAIN_BROKEN"]


def test_of_a_malformed_entry_nothing_can_be_checked() -> None:
    assert edge_of(None) is None
    assert seam_faults(8, edge(7), LEAF, None) == []


def test_stored_hashes_that_are_right_or_not_kept_have_no_fault() -> None:
    assert stored_faults(4, [LEAF, LEAF], LEAF * 2) == []
    assert stored_faults(4, [LEAF, LEAF], None) == []


@pytest.mark.parametrize(
    ("stored", "positions"),
    [
        (LEAF + b"\0" * 32, [5]),
        (LEAF, [5]),
        (b"", [4, 5]),
        (LEAF + LEAF[:31], [5]),
        (LEAF * 3, [6]),
    ],
)
def test_each_stored_hash_that_is_another_is_told(stored: bytes, positions: list[int]) -> None:
    assert [fault.position for fault in stored_faults(4, [LEAF, LEAF], stored)] == positions


def test_of_many_faults_of_one_code_the_first_are_kept_and_all_are_counted() -> None:
    whole, parts = FaultList(), [FaultList(), FaultList(), FaultList()]
    for position in range(3_300):
        code: Code = "SEQ_GAP" if position % 3 else "CHAIN_BROKEN"
        whole.tell(position, code, "")
        parts[position // 1_100].tell(position, code, "")
    joined = FaultList()
    for part in parts:
        joined.join(part)
    assert (joined.kept, joined.counts) == (whole.kept, whole.counts)
    assert whole.counts == {"SEQ_GAP": 2_200, "CHAIN_BROKEN": 1_100}
    assert len(whole.kept) == 2_000


def test_a_thousand_advisories_do_not_hide_a_graver_fault_of_the_same_code() -> None:
    parts = [FaultList(), FaultList()]
    for position in range(FaultList.PER_CODE_MAX + 5):
        parts[0].add(Fault(position, "SCHEMA_UNKNOWN", ""))
    parts[0].add(Fault(5_000, "SCHEMA_UNKNOWN", "", "I"))
    parts[1].add(Fault(6_000, "SCHEMA_UNKNOWN", "", "I"))
    joined = FaultList()
    for part in parts:
        joined.join(part)
    assert [fault.position for fault in joined.kept if fault.severity == "I"] == [5_000, 6_000]
    assert joined.counts == {"SCHEMA_UNKNOWN": FaultList.PER_CODE_MAX + 7}
    again = FaultList()
    again.restore(joined.kept[:], dict(joined.counts))
    again.add(Fault(7_000, "SCHEMA_UNKNOWN", ""))
    assert again.kept == joined.kept
