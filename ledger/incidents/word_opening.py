"""Opens what people wrote about incidents, for exports that hold it (section 5.5): a ``FieldOpener``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ledger.core.openings import Opening
from ledger.incidents.words import opens
from ledger.ports.incidents import Event, Incidents

_FIELDS = {
    "incident.described": "text",
    "incident.decided": "text",
    "incident.moment_claimed": "evidence_given",
    "incident.authority_notified": "document",
}
"""The commitment that an event's ``text`` is behind, by the entry's kind."""
_REASONS = "reasons_for_delay"


class WordOpener:
    """Opens the commitments of entries about incidents, whose words and salts lie beside the log."""

    def __init__(self, incidents: Incidents) -> None:
        """Nothing is read yet."""
        self._incidents = incidents

    def may_know(self, members: Mapping[str, Any], field: str) -> bool:
        """Of entries about incidents, everything that somebody wrote."""
        kind = members.get("kind")
        return _FIELDS.get(str(kind)) == field or (
            kind == "incident.authority_notified" and field == _REASONS
        )

    def open(self, entries: Sequence[Mapping[str, Any]]) -> Iterable[Opening]:
        """The words behind the commitments of ``entries``."""
        told = [members for members in entries if members.get("kind") in _FIELDS]
        names = {str(members["incident"]) for members in told}
        events = {one.uid: one for name in sorted(names) for one in self._incidents.events(name)}
        for members in told:
            event = events.get(str(members["uid"]))
            if event is not None:
                yield from _openings(members, event)


def _openings(members: Mapping[str, Any], event: Event) -> Iterator[Opening]:
    seq, field = int(members["seq"]), _FIELDS[str(members["kind"])]
    if (
        event.text is not None
        and event.salt is not None
        and opens(str(members[field]), event.text, event.salt)
    ):
        yield Opening(seq, field, event.salt, event.text)
    if event.reasons is not None and event.reasons_salt is not None and _REASONS in members:
        yield Opening(seq, _REASONS, event.reasons_salt, event.reasons)
