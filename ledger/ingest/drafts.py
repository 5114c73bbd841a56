"""A record and the subjects it names -> the draft of its entry (ledger format, sections 1.1, 1.2 and 1.6).

People become tags, event ids and signed requests become commitments, and the default ``uid`` is made of what was
stated. What is looked up in the history is left to the sequencer. Pure but for what is injected.

The drafts count as checked: reading a record checked each member against the same declarations as the entry's, and
what is put in place of a value here is of the entry's type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ledger.core.canonical import JsonValue
from ledger.core.uids import default_uid
from ledger.ingest.records import Record
from ledger.ingest.schema import LOOKED_UP, LOOKED_UP_UNLESS_STATED
from ledger.ports import Subject
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft

REGISTERED = "account.registered"
REGISTRAR = "system:vault"

_PROVENANCE = frozenset({"actor", "via"})
_NONE: frozenset[str] = frozenset()
_DELIVERY_EXCLUDED = _PROVENANCE | LOOKED_UP["delivery.imported"]


class Drafter:
    """Makes drafts of records that ``actor`` hands in; ``live`` is whether through the API, else from a file.

    Who handed a record in, and which way, is no part of what it says: the same statement made twice is one entry.
    """

    def __init__(self, commitments: Commitments, *, actor: str, live: bool) -> None:
        self._commitments = commitments
        self._actor = actor
        self._live = live
        self._via = "api" if live else "file"

    def draft(self, record: Record, subjects: Mapping[str, Subject]) -> Draft:
        """The draft of ``record``; ``subjects`` has everybody in ``record.people``."""
        if record.kind == "delivery.imported":
            return self._delivery(record.members, subjects)
        members: dict[str, Any] = dict(record.members)
        account_id = cast(str, members.get("account", ""))
        if account_id:
            members["account"] = subjects[account_id].tag
        uid = members.get("uid") or default_uid(record.kind, members)
        exclude = _PROVENANCE | LOOKED_UP.get(record.kind, _NONE)
        exclude |= LOOKED_UP_UNLESS_STATED.get(record.kind, _NONE) - members.keys()
        if record.kind == REGISTERED:
            members["identity"] = self._commitments.identity(subjects[account_id], uid, account_id)
            exclude |= {"identity"}
        evidence = members.get("evidence")
        if evidence is not None:
            exclude |= {"evidence.request"}
        if evidence is not None and "request" in evidence:
            request = self._commitments.commit(
                subjects[account_id], uid, "request", evidence["request"].encode()
            )
            members["evidence"] = evidence | {"request": request}
        members["uid"] = uid
        return self._finish(members, exclude)

    def registration(self, account_id: str, subject: Subject) -> Draft:
        """The ``account.registered`` that goes before the first use of ``subject``'s tag.

        Its ``uid`` is made of the tag alone and its time is the ledger's, so that however often it is handed in, by
        whomever, it is one entry.
        """
        stated: dict[str, JsonValue] = {"account": subject.tag}
        uid = default_uid(REGISTERED, stated)
        return Draft(
            {
                "kind": REGISTERED,
                "uid": uid,
                "account": subject.tag,
                "identity": self._commitments.identity(subject, uid, account_id),
                "actor": REGISTRAR,
                "via": "system",
            },
            self._live,
            _PROVENANCE | {"identity"},
            is_checked=True,
        )

    def _delivery(self, stated: Mapping[str, JsonValue], subjects: Mapping[str, Subject]) -> Draft:
        members: dict[str, Any] = dict(stated)
        account = subjects[members["account"]]
        members["account"] = account.tag
        people = members["subjects"]
        if people:
            members["subjects"] = sorted([subjects[person].tag for person in people])
        members["event"] = self._commitments.event_tag(account, members["event"])
        if "uid" not in members:
            members["uid"] = default_uid("delivery.imported", members)
        return self._finish(members, _DELIVERY_EXCLUDED)

    def _finish(self, members: dict[str, Any], exclude: frozenset[str]) -> Draft:
        members["actor"] = self._actor
        members["via"] = self._via
        return Draft(members, self._live, exclude, is_checked=True)
