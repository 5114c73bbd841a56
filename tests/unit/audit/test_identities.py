"""One id has one tag, and commitments open to the vault's ids."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.audit.identities import BATCH, IdentityCheck
from ledger.core.faults import FaultList
from tests.support.builders import Log, tag

Told = tuple[list[tuple[str, int]], list[str]]


def check(vault: dict[str, str], *names: str, identity: str = "1" * 64) -> Told:
    """Registrations of the tags of ``names``, against a vault ``name -> id``."""
    by_tag = {tag(name): account for name, account in vault.items()}

    def accounts_of(tags: Iterable[str]) -> dict[str, str]:
        return {each: by_tag[each] for each in tags if each in by_tag}

    checking = IdentityCheck(accounts_of, lambda account, uid: "1" * 64)
    log = Log()
    for name in names:
        checking.add(log.add("account.registered", 1, account=tag(name), identity=identity))
    faults, notes = FaultList(), list[str]()
    checking.finish(faults, notes)
    return [(fault.code, fault.position) for fault in faults.kept], notes


def test_one_tag_for_each_id_is_right() -> None:
    assert check({"ann": "1", "bob": "2"}, "ann", "bob") == ([], [])


def test_a_second_tag_of_one_id_splits_an_identity_and_is_told_where_it_came() -> None:
    assert check({"ann": "1", "bob": "2", "ann2": "1"}, "ann", "bob", "ann2")[0] == [("SPLIT_IDENTITY", 2)]


def test_a_second_tag_is_found_however_far_away() -> None:
    names = [f"n{number}" for number in range(BATCH + 10)]
    vault = {name: name for name in names} | {names[-1]: names[0]}
    assert check(vault, *names)[0] == [("SPLIT_IDENTITY", BATCH + 9)]


def test_a_commitment_that_does_not_open_to_the_id_is_told() -> None:
    assert check({"ann": "1"}, "ann", identity="2" * 64)[0] == [("COMMITMENT_MISMATCH", 0)]


def test_tags_without_a_vault_row_are_counted_and_no_fault() -> None:
    faults, notes = check({"ann": "1"}, "ann", "erased", "gone")
    assert (faults, len(notes)) == ([], 1)
    assert notes[0].startswith("2 tags")
