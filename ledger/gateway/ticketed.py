"""A reported delivery whose ticket is good -> the end of the attempt that it was given for (ledger format, 1.5 and 1.6).

The attempt's entry has said what is sent, about whom and where to; the report says what happened. What both say must be
the same, or the ticket went along with something else than what was decided on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.core.canonical import JsonValue
from ledger.core.uids import default_uid
from ledger.errors import RejectedError
from ledger.ingest.records import Record
from ledger.ports import StoredEntry, Subject
from ledger.ports.commitments import Commitments
from ledger.sequencer.draft import Draft

SETTLED = "delivery.settled"

_SAID_BY_BOTH = ("account", "subjects", "event", "event_type", "private", "channel", "endpoint")
_SAID_BY_BOTH_IF_STATED = ("app", "environment")
_TAKEN_OVER = ("started_at", "ended_at", "observed", "status", "disclosure", "worker")
_PROVENANCE = frozenset({"actor", "via"})


def settle(
    record: Record, subjects: Mapping[str, Subject], row: StoredEntry, commitments: Commitments, actor: str
) -> Draft:
    """The draft of the ``delivery.settled`` that ``record``, a ``delivery.imported``, makes of the attempt ``row``.

    ``resolved_ip`` has no place in a settlement and is left out: what counts is the peer that was observed. Raises
    RejectedError where the record speaks of something else than the attempt does, or the attempt was not the caller's to
    make.
    """
    stated: dict[str, Any] = dict(record.members)
    account = subjects[stated["account"]]
    stated["account"] = account.tag
    stated["subjects"] = sorted({subjects[person].tag for person in stated["subjects"]})
    stated["event"] = commitments.event_tag(account, stated["event"])
    attempted: dict[str, Any] = msgspec.json.decode(row.data)
    if attempted["via"] != "api":
        raise RejectedError("the attempt is this service's own, and so is what became of it")
    differing = [name for name in _SAID_BY_BOTH if stated[name] != attempted[name]]
    differing += [
        name for name in _SAID_BY_BOTH_IF_STATED if stated.get(name, attempted[name]) != attempted[name]
    ]
    if differing:
        raise RejectedError(
            f"the attempt that the ticket was given for has another {', '.join(differing)}: "
            "state what was authorized, or leave the ticket out"
        )
    members: dict[str, JsonValue] = {
        "kind": SETTLED,
        "delivery": attempted["delivery"],
        "attempt": attempted["attempt"],
        "by": "transport",
        "account": account.tag,
        "subjects": attempted["subjects"],
        "developer": attempted["developer"],
        **{name: stated[name] for name in _TAKEN_OVER if name in stated},
        "actor": actor,
        "via": "api",
    }
    members["uid"] = default_uid(SETTLED, members)
    return Draft(
        members,
        compare_exclude=_PROVENANCE,
        intended_endpoint=attempted["endpoint"],
        # The record's members were checked where it was read, and the others come from an entry.
        is_checked=True,
    )
