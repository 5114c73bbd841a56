"""Entries as CloudEvents, one JSON object each (CloudEvents 1.0.2, JSON event format; exports, section 5.5).

``source`` and ``id`` together are unique, and the same whenever an entry is sent again. ``sequence`` orders events as text
(the sequence extension), ``recordedtime`` is when the ledger took the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.core.chain import leaf_hash
from ledger.core.flat import format_instant
from ledger.ports import StoredEntry

SPEC_VERSION = "1.0"
TYPE_PREFIX = "grantledger."
_SUBJECTS = (
    "delivery",
    "grant",
    "subscription",
    "endpoint",
    "app",
    "incident",
    "export",
    "account",
    "developer",
)


def cloud_event(origin: str, row: StoredEntry, members: Mapping[str, Any]) -> dict[str, Any]:
    """The event of the entry ``row`` of the log ``origin``, whose ``members`` were decoded already."""
    event: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": str(members["seq"]),
        "source": origin,
        "type": TYPE_PREFIX + str(members["kind"]),
        "datacontenttype": "application/json",
        "time": format_instant(members["at"]),
        "recordedtime": format_instant(members["recorded_at"]),
        "sequence": f"{members['seq']:016d}",
        "leafhash": leaf_hash(row.data).hex(),
        "data": dict(members),
    }
    subject = next((str(members[name]) for name in _SUBJECTS if isinstance(members.get(name), str)), None)
    if subject is not None:
        event["subject"] = subject
    # Instants beyond the calendar have no text, and an attribute is never null.
    return {name: value for name, value in event.items() if value is not None}
