"""The people that many items of one call name, where some may be erased: the others' items go on (section 1.2)."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.errors import RejectedError
from ledger.gateway.people import People
from ledger.ports import Subject
from ledger.sequencer.draft import Draft


def meet_all(
    people: People, account_ids: Iterable[str]
) -> tuple[dict[str, Subject], list[Draft], frozenset[str]]:
    """As :meth:`People.meet`, and those of the ids that have no subject because they were erased."""
    ids = list(dict.fromkeys(account_ids))
    if not ids:
        return {}, [], frozenset()
    try:
        return *people.meet(ids), frozenset()
    except RejectedError:
        # Somebody was; one by one, because only so it is known who.
        return _meet_each(people, ids)


def _meet_each(
    people: People, account_ids: Iterable[str]
) -> tuple[dict[str, Subject], list[Draft], frozenset[str]]:
    subjects: dict[str, Subject] = {}
    registrations: list[Draft] = []
    erased: set[str] = set()
    for account_id in account_ids:
        try:
            met, drafts = people.meet([account_id])
        except RejectedError:
            erased.add(account_id)
        else:
            subjects |= met
            registrations += drafts
    return subjects, registrations, frozenset(erased)
