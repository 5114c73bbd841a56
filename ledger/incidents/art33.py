"""The draft of a notification to an authority (GDPR Art. 33; incidents and exports, section 5.4).

Forms change, so which field of a form is filled from where stands in a file, ``art33_fields.json``: an id, a section, a
label, a path into the incident's document, and for which notifications it is needed. A field is filled from entries and the
words behind them, or it is listed as missing; nothing is made up: when the authority was notified is no field of a first
notification before somebody has recorded it. What is not known in time may follow (Art. 33(4)): those fields are needed for a
follow-up or the final notification only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ledger.core.entries.members import AuthorityNoticeType
from ledger.core.incident_clock import AUTHORITY_NOTICE
from ledger.core.timestamps import format_rfc3339
from ledger.errors import UsageError
from ledger.incidents.document import Document
from ledger.incidents.words import NOTIFICATIONS

MAPPING = "art33_fields.json"
DERIVED = "the ledger's entries"
PLACEHOLDER = "INCIDENT"
"""Stands in a hint for the incident's id."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form: ``path`` leads to its value, ``needed_for`` names notifications, ``when`` a condition."""

    id: str
    section: str
    label: str
    path: str
    needed_for: tuple[str, ...]
    hint: str
    when: str | None = None


@lru_cache(maxsize=4)
def load_mapping(text: str | None = None) -> tuple[FormField, ...]:
    """The fields of ``text``, or of the file that comes with this package; UsageError where it is no mapping."""
    raw = files("ledger.incidents").joinpath(MAPPING).read_text("utf-8") if text is None else text
    try:
        rows = json.loads(raw)["fields"]
        found = tuple(FormField(**{**row, "needed_for": tuple(row["needed_for"])}) for row in rows)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"the mapping of fields cannot be read: {error}") from error
    ids = [one.id for one in found]
    if len(set(ids)) != len(ids):
        raise UsageError("the mapping names a field twice")
    unknown = {name for one in found for name in one.needed_for} - set(NOTIFICATIONS)
    if unknown:
        raise UsageError(f"the mapping asks for a notification {min(unknown)!r}")
    return found


def due_notification(document: Document, jurisdiction: str) -> AuthorityNoticeType:
    """What the authority of ``jurisdiction`` gets next: first, follow-ups, and the final one of a concluded incident."""
    if not any(one["jurisdiction"] == jurisdiction for one in document["authorities"]):
        return "first"
    return "final" if document["status"] == "concluded" else "follow_up"


def make_draft(
    document: Document,
    jurisdiction: str,
    notification: str | None,
    now_ms: int,
    mapping: Sequence[FormField] | None = None,
) -> Document:
    """The draft of a ``notification`` (first, follow_up, final) to the authority of ``jurisdiction``, as of ``now_ms``.

    None is what is due.

    ``document`` is the incident's. ``fields`` are all that are filled, ``missing`` those that this notification needs and
    nobody has said, ``to_follow`` those that a later one needs. Raises UsageError for an unknown notification.
    """
    notification = notification or due_notification(document, jurisdiction)
    if notification not in NOTIFICATIONS:
        raise UsageError(f"a notification is {', '.join(NOTIFICATIONS)}, not {notification!r}")
    context = _context(document, jurisdiction, notification)
    fields, missing, follow = [], [], []
    for one in load_mapping() if mapping is None else mapping:
        if one.when is not None and not _at(context, one.when):
            continue
        value = _at(context, one.path)
        row = {"id": one.id, "section": one.section, "label": one.label}
        hint = one.hint.replace(PLACEHOLDER, document["incident"])
        if value not in (None, "", [], {}):
            fields.append({**row, "value": value, "source": _source_of(one.path, context)})
        elif notification in one.needed_for:
            missing.append({**row, "hint": hint})
        else:
            follow.append({**row, "hint": hint})
    return {
        "form": "GDPR Art. 33",
        "incident": document["incident"],
        "jurisdiction": jurisdiction,
        "notification": notification,
        "made_at": format_rfc3339(now_ms),
        "is_late": context["clock"]["is_late"],
        "is_complete": not missing,
        "fields": fields,
        "missing": missing,
        "to_follow": follow,
    }


def _context(document: Document, jurisdiction: str, notification: str) -> Document:
    """What paths lead into: the document, and what follows from it for this authority."""
    told = [one for one in document["authorities"] if one["jurisdiction"] == jurisdiction]
    first = next((one for one in told if one["notification"] == "first"), None)
    due = next(
        (
            one
            for one in document["deadlines"]
            if one["policy"] == AUTHORITY_NOTICE and one["jurisdiction"] in (None, jurisdiction)
        ),
        None,
    )
    is_late = due is not None and due["state"] in ("overdue", "done late")
    texts = document["texts"]
    reasons = first["reasons_for_delay"] if first is not None else None
    if reasons is None and "reasons_for_delay" in texts:
        reasons = texts["reasons_for_delay"]["text"]
    assessed = document["assessment"]
    return {
        **document,
        "form": {"notification": notification, "jurisdiction": jurisdiction},
        "clock": {
            "is_late": is_late,
            "due_at": None if due is None else due["due_at"],
            # RFC 3339 of one width, so that texts compare as instants do.
            "detected_at": min([document["opened_at"], *(one["at"] for one in document["moments"])]),
            "notified_at": None if first is None else first["at"],
            "reasons_for_delay": reasons,
        },
        "people": None if assessed is None else _people(assessed),
        "earlier": [
            {"notification": one["notification"], "at": one["at"], "document": one["document"]}
            for one in told
        ],
    }


def _people(assessed: Document) -> Document:
    """Least, most and confirmed numbers of people: somebody may be an account and in another's delivery at once."""
    accounts, others = assessed["accounts"], assessed["others"]
    return {
        "categories": [
            name
            for name, row in (("accounts whose events they were", accounts), ("other people in them", others))
            if row["definite"] or row["possible"]
        ],
        "number": {
            "min": max(accounts["definite"], others["definite"]),
            "max": assessed["people"],
            "confirmed": {"accounts": accounts["definite"], "others": others["definite"]},
            "possible": {"accounts": accounts["possible"], "others": others["possible"]},
        },
    }


def _at(context: Any, path: str) -> Any:
    """What ``path`` leads to, or None where it ends before."""
    for part in path.split("."):
        if not isinstance(context, dict) or part not in context:
            return None
        context = context[part]
    return context


def _source_of(path: str, context: Document) -> str:
    """Who says so: the author of the words, or the entries."""
    head, _, rest = path.partition(".")
    if head == "texts":
        said = context["texts"].get(rest.partition(".")[0])
        if said is not None:
            return f"{said['by']}, {said['at']}"
    return DERIVED
