"""Entries as rows of flat tables, in which nothing is left out (exports, section 5.5).

A view is a function of one entry: whoever has the entries can make each line of it again, and whoever checks an export does.
What has no column of its own stands in the last one, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ledger.core.cells import format_row

TEXT_COLUMNS = (
    "kind", "uid", "actor", "via", "account", "developer", "app", "environment", "endpoint", "grant", "subscription",
    "delivery", "attempt", "event", "event_type", "scope", "private", "channel", "status", "disclosure", "by", "worker",
    "code", "severity", "reason", "incident", "notice", "obligation", "export",
)  # fmt: skip
TIME_COLUMNS = ("at", "recorded_at", "started_at", "ended_at", "expires_at")
LIST_COLUMNS = ("subjects", "scopes")
OBSERVED_COLUMNS = ("host", "port", "path", "sni", "peer_ip", "spki_sha256", "signing_app")
RECEIVED_COLUMNS = ("developer", "app", "environment", "endpoint")
COLUMNS = (
    "seq", *[f"{name}_utc" for name in TIME_COLUMNS], *TEXT_COLUMNS, *LIST_COLUMNS,
    *[f"observed_{name}" for name in OBSERVED_COLUMNS], *[f"received_by_{name}" for name in RECEIVED_COLUMNS],
    *[f"{name}_ms" for name in TIME_COLUMNS], "leaf_hash", "prev", "other",
)  # fmt: skip
"""The heading of the table of entries."""

_OWN = frozenset(("v", "seq", "prev", *TEXT_COLUMNS, *TIME_COLUMNS, *LIST_COLUMNS))
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, which its text says
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def format_instant(at_ms: object) -> str | None:
    """Milliseconds since 1970 in RFC 3339, None for what is no instant of a calendar."""
    if type(at_ms) is not int:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        return None
    return moment.isoformat(timespec="milliseconds") + "Z"


def flat_values(members: Mapping[str, Any], leaf_hash: str) -> list[object]:
    """The values of an entry under the heading :data:`COLUMNS`: texts, integers and None."""
    other = {name: value for name, value in members.items() if name not in _OWN}
    observed = _nested(other, "observed", OBSERVED_COLUMNS)
    received = _nested(other, "received_by", RECEIVED_COLUMNS)
    times = [members.get(name) for name in TIME_COLUMNS]
    texts = [_text(members.get(name)) for name in TEXT_COLUMNS]
    lists = [_listed(members.get(name)) for name in LIST_COLUMNS]
    rest = [leaf_hash, _text(members.get("prev")), _encode(other) if other else None]
    instants = [format_instant(value) for value in times]
    stamps = [_text(value) for value in times]
    return [_text(members.get("seq")), *instants, *texts, *lists, *observed, *received, *stamps, *rest]


def entry_row(members: Mapping[str, Any], leaf_hash: str) -> str:
    """The row of an entry in the table with the heading :data:`COLUMNS`, without its line break."""
    return format_row(flat_values(members, leaf_hash))


def finding_line(members: Mapping[str, Any]) -> str | None:
    """The line of a recorded finding; None for any other entry."""
    if members.get("kind") != "finding.recorded":
        return None
    return _encode(
        {name: value for name, value in members.items() if name not in ("prev", "v", "uid", "via")}
    )


def timeline_line(members: Mapping[str, Any]) -> str | None:
    """The line of a change to a grant or a subscription; None for any other entry."""
    if not str(members.get("kind")).startswith(("grant.", "subscription.")):
        return None
    return _encode(
        {name: value for name, value in members.items() if name not in ("prev", "v", "uid", "via")}
    )


View = Callable[[Mapping[str, Any]], "str | None"]


def _text(value: object) -> object:
    """``value`` as it stands in a cell: text and numbers as they are, all else as JSON."""
    return value if value is None or type(value) in (str, int) else _encode(value)


def _listed(value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, str) and " " not in item for item in value):
        return " ".join(value)
    return _text(value)


def _nested(other: dict[str, Any], name: str, columns: tuple[str, ...]) -> list[object]:
    """The cells of the object ``name``, taken out of ``other`` where the columns hold all of it."""
    value = other.get(name)
    if not isinstance(value, dict) or set(value) - set(columns):
        return [None] * len(columns)
    del other[name]
    return [_text(value.get(column)) for column in columns]
