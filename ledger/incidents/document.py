"""An incident as one object: what ``incident show`` draws, the API answers, exports hold and the draft is filled from.

Everything in it is an entry's, or the words behind an entry's commitment. Instants are RFC 3339, people counts or tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ledger.core.incident_clock import Candidate, Deadline
from ledger.core.scopes import SCOPES, scope_of
from ledger.core.timestamps import format_rfc3339
from ledger.incidents.clock_book import ClockBook
from ledger.incidents.policies import format_period
from ledger.ports.incidents import Assessment, Event, Incident, Incidents
from ledger.ports.notices import Notices
from ledger.ports.obligations import Obligations

Document = dict[str, Any]

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "posts": "posts",
        "likes": "likes of posts",
        "follows": "who follows whom",
        "blocks_mutes": "who blocks or mutes whom",
        "direct_messages": "private messages, with what they hold",
        "dm_indicators": "signs of typing and reading in private conversations",
        "deletions": "which posts and messages were deleted",
        "lifecycle": "changes of the account's access",
    }
)
"""Kinds of data by scope, as an authority and the public read them."""

assert tuple(CATEGORIES) == SCOPES, "each scope has its words"

ROLES = {"controller": "controller", "processors": "processor"}
"""Fields that say who has which role."""


class IncidentDocuments:
    """Makes the document of an incident; ``notices`` and ``obligations`` say what became of people and receivers."""

    def __init__(
        self,
        incidents: Incidents,
        clocks: ClockBook,
        notices: Notices | None = None,
        obligations: Obligations | None = None,
    ) -> None:
        self._incidents = incidents
        self._clocks = clocks
        self._notices = notices
        self._obligations = obligations

    def make(self, incident: Incident, now_ms: int) -> Document:
        """The document of ``incident`` as of ``now_ms``."""
        name = incident.incident
        events = self._incidents.events(name)
        revisions = self._incidents.assessments(name)
        last = revisions[-1] if revisions else None
        texts = _texts(events)
        aware = self._clocks.awareness(name)
        return {
            **summary_of(incident),
            "title": _text_of(texts, "title"),
            "texts": texts,
            "risk": {
                "level": _text_of(texts, "risk_level"),
                "reasoning": _text_of(texts, "risk_reasoning"),
                "author": texts["risk_reasoning"]["by"] if "risk_reasoning" in texts else None,
            },
            "roles": {role: _text_of(texts, field) for field, role in ROLES.items()},
            "assessment": None if last is None else assessment_of(last),
            "revisions": [revision_of(one) for one in revisions],
            "data_categories": [] if last is None else _categories(last),
            "awareness": None if aware is None else _moment(aware, events),
            "moments": [
                {**_moment(one, events), "starts_the_clock": one == aware}
                for one in self._clocks.candidates(name)
            ],
            "deadlines": [deadline_of(one, now_ms) for one in self._clocks.deadlines(name)],
            "decisions": [
                {"decision": one.name, "text": one.text, "by": one.actor, "at": format_rfc3339(one.at_ms)}
                for one in events
                if one.kind == "decided"
            ],
            "authorities": [_told(one) for one in events if one.kind == "authority"],
            "updates": updates_of(self._incidents, name),
            "recipients": self._recipients(incident),
            "notices": self._notice_counts(name),
            "timeline": [_line(one) for one in events],
        }

    def _recipients(self, incident: Incident) -> list[Document]:
        """Who has it, by how many attempts, and what became of asking for its deletion."""
        if not incident.revision:
            return []
        its = [] if self._obligations is None else self._obligations.load_all(incident.incident)
        rows = []
        for developer, count in self._incidents.receivers(incident.incident, incident.revision):
            # A later revision that finds more at a developer makes another one, and both have to be seen.
            owed = [one for one in its if one.developer == developer]
            rows.append(
                {
                    "developer": developer,
                    "deliveries": count,
                    "obligations": [
                        {"obligation": one.obligation, "deliveries": one.deliveries, "state": one.state}
                        for one in owed
                    ],
                    "deletion": ", ".join(one.state for one in owed) or "not asked for",
                }
            )
        return rows

    def _notice_counts(self, incident: str) -> list[Document]:
        found = [] if self._notices is None else self._notices.count(incident)
        return [
            {"medium": one.medium, "state": one.state, "notices": one.notices, "read": one.read}
            for one in found
        ]


def summary_of(incident: Incident) -> Document:
    """The few members that a list shows."""
    return {
        "incident": incident.incident,
        "cause": incident.cause,
        "cause_of": incident.cause_of,
        "status": incident.status,
        "revision": incident.revision,
        "opened_at": format_rfc3339(incident.opened_at_ms),
        "updated_at": format_rfc3339(incident.updated_at_ms),
    }


def revision_of(made: Assessment) -> Document:
    """One line of the list of revisions."""
    return {
        "revision": made.revision,
        "assessed_at": format_rfc3339(made.assessed_at_ms),
        "tree_size": made.tree_size,
        "findings": made.findings,
        "findings_root": made.findings_root,
        "people": made.people,
    }


def assessment_of(made: Assessment) -> Document:
    """A frozen finding set without its lines."""
    accounts = made.accounts_definite + made.accounts_possible
    return {
        **revision_of(made),
        "root": made.root,
        "rule_set": made.rule_set,
        "rule_set_sha256": made.rule_set_sha256,
        "query": made.query,
        "window_from": format_rfc3339(made.window_from_ms),
        "window_to": format_rfc3339(made.window_to_ms),
        "accounts": {"definite": made.accounts_definite, "possible": made.accounts_possible},
        "others": {"definite": made.others_definite, "possible": made.others_possible},
        "deliveries": made.deliveries,
        "copies": made.copies,
        "active_accounts": made.active_accounts,
        "share_of_active_accounts": round(accounts / made.active_accounts, 6)
        if made.active_accounts
        else 0.0,
        "developers": _rows(made, "developers", "developer"),
        "event_types": _rows(made, "event_types", "event_type"),
        "codes": _rows(made, "codes", "code"),
    }


def deadline_of(one: Deadline, now_ms: int) -> Document:
    """One deadline, and where it stands as of ``now_ms``."""
    return {
        "policy": one.policy,
        "jurisdiction": one.jurisdiction,
        "period": format_period(one.due_at_ms - one.starts_at_ms),
        "starts_at": format_rfc3339(one.starts_at_ms),
        "due_at": format_rfc3339(one.due_at_ms),
        "done_at": None if one.done_at_ms is None else format_rfc3339(one.done_at_ms),
        "revision": one.revision,
        "state": state_of(one, now_ms),
    }


def state_of(one: Deadline, now_ms: int) -> str:
    """``done``, ``done late``, ``waived``, ``overdue`` or ``open``."""
    if one.done_at_ms is not None:
        return "done late" if one.is_overdue(now_ms) else "done"
    if one.is_overdue(now_ms):
        return "overdue"
    return "open" if one.waived_at_ms is None else "waived"


def updates_of(incidents: Incidents, incident: str) -> list[Document]:
    """The public updates, which everybody may read."""
    return [
        {
            "number": one.number,
            "published_at": format_rfc3339(one.published_at_ms),
            "text": one.text,
            "text_sha256": one.text_sha256,
        }
        for one in incidents.updates(incident)
    ]


def _rows(made: Assessment, name: str, member: str) -> list[Document]:
    rows = made.breakdown.get(name, {})
    return [{member: key, **rows[key]} for key in sorted(rows)]


def _categories(made: Assessment) -> list[Document]:
    """What kinds of data were concerned, by the scopes of the event types."""
    counts: dict[str, int] = {}
    for event_type, row in made.breakdown.get("event_types", {}).items():
        scope = scope_of(event_type) or "unknown"
        counts[scope] = counts.get(scope, 0) + row["definite"] + row["possible"]
    return [
        {
            "category": scope,
            "in_words": CATEGORIES.get(scope, "what nobody knows"),
            "records": counts[scope],
        }
        for scope in sorted(counts)
    ]


def _texts(events: Sequence[Event]) -> dict[str, Document]:
    """What each field says now, and who wrote it when."""
    return {
        one.name: {"text": one.text, "by": one.actor, "at": format_rfc3339(one.at_ms)}
        for one in events
        if one.kind == "described"
    }


def _text_of(texts: dict[str, Document], field: str) -> str | None:
    found = texts.get(field)
    return None if found is None else found["text"]


def _moment(one: Candidate, events: Sequence[Event]) -> Document:
    """A candidate with its evidence: what was written down with the claim, or which assessment it is."""
    evidence = None
    if one.is_claimed:
        evidence = next(
            (
                event.text
                for event in events
                if event.kind == "moment" and event.name == one.moment and event.at_ms == one.at_ms
            ),
            None,
        )
    return {
        "moment": one.moment,
        "at": format_rfc3339(one.at_ms),
        "entry": one.seq,
        "is_defensible": one.is_defensible,
        "is_claimed": one.is_claimed,
        "evidence": evidence or f"the assessment in entry {one.seq} counts definite exposures",
    }


def _told(one: Event) -> Document:
    return {
        "jurisdiction": one.name,
        "notification": one.detail,
        "at": format_rfc3339(one.at_ms),
        "by": one.actor,
        "document": one.text,
        "reasons_for_delay": one.reasons,
    }


_KINDS = {
    "opened": "opened",
    "assessed": "assessed, revision",
    "status": "became",
    "moment": "moment claimed:",
    "described": "described:",
    "decided": "decided:",
    "update": "public update",
    "authority": "authority told:",
}


def _line(one: Event) -> Document:
    return {
        "at": format_rfc3339(one.at_ms),
        "recorded_at": format_rfc3339(one.told_at_ms),
        "what": f"{_KINDS[one.kind]} {one.name}",
        "by": one.actor,
        "entry_uid": one.uid,
    }
