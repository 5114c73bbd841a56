"""What an export of an incident holds beside entries: its document, the authority's draft, obligations (section 5.5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ledger.core.frozen_findings import ExposedDelivery, encode_line
from ledger.core.timestamps import format_rfc3339
from ledger.incidents.art33 import make_draft
from ledger.incidents.document import Document
from ledger.ports import Clock
from ledger.ports.exports import ExtraFile
from ledger.ports.incidents import AffectedPerson, Assessment, Incidents
from ledger.ports.obligations import Obligation, Obligations

JURISDICTION = "gdpr"

_ROWS_AT_ONCE = 1_000


class IncidentFiles:
    """The files about an incident, and the entries of its deliveries; implements ``ledger.ports.exports.ExtraFiles``."""

    def __init__(
        self,
        incidents: Incidents,
        obligations: Obligations,
        documents: Callable[[str], Document],
        attestations: Callable[[str], Mapping[str, Any]],
        clock: Clock,
    ) -> None:
        """``documents`` makes the document of an incident as of now, ``attestations`` opens the envelope of a hash."""
        self._incidents = incidents
        self._obligations = obligations
        self._documents = documents
        self._attestations = attestations
        self._clock = clock

    def files(self, incident: str) -> Iterable[ExtraFile]:
        """The files about ``incident``; raises UsageError where there is none of this id."""
        document = self._documents(incident)
        draft = make_draft(document, JURISDICTION, None, self._clock.now_ms())
        owed = self._obligations.load_all(incident)
        yield ExtraFile("incident/incident.json", [_indented(document)])
        yield ExtraFile("incident/art33.json", [_indented(draft)])
        yield from self._frozen(incident)
        yield ExtraFile("obligations/obligations.jsonl", [_line(_row(one)) for one in owed], len(owed))
        for one in owed:
            path = f"obligations/{one.obligation}.list.jsonl"
            yield ExtraFile(path, self._list(one.obligation), one.deliveries)
            if one.attestation is not None:
                # As it was signed: its hash and key stand in obligation.attested, and anybody can check the signature.
                path = f"obligations/{one.obligation}.attestation.json"
                yield ExtraFile(path, [_indented(self._attestations(one.attestation))])

    def seqs(self, incident: str) -> Iterable[int]:
        """The numbers of the entries of the deliveries that the incident's last finding set holds."""
        return delivery_seqs(self._incidents, incident)

    def _frozen(self, incident: str) -> Iterator[ExtraFile]:
        """The last finding set: the lines that ``findings_root`` is over, to the byte, and whom it affects, by tag."""
        made = self._incidents.assessment(incident)
        if made is None:
            return
        lines = (encode_line(exposed) + b"\n" for exposed in _exposed(self._incidents, made))
        yield ExtraFile("incident/findings.jsonl", lines, made.findings)
        people = (_line(asdict(person)) for person in self._people(made))
        yield ExtraFile("incident/people.jsonl", people, made.people)

    def _people(self, made: Assessment) -> Iterator[AffectedPerson]:
        load, after = self._incidents.people, ""
        while rows := load(made.incident, made.revision, after=after, limit=_ROWS_AT_ONCE):
            yield from rows
            after = rows[-1].account

    def _list(self, obligation: str) -> Iterator[bytes]:
        """The lines that the obligation's root is over, to the byte."""
        for line in self._obligations.stream_lines(obligation):
            yield line.line.encode("ascii") + b"\n"


def delivery_seqs(incidents: Incidents, incident: str) -> Iterator[int]:
    """The numbers of the entries of the deliveries that the last finding set of ``incident`` holds; none without one."""
    made = incidents.assessment(incident)
    if made is not None:
        for exposed in _exposed(incidents, made):
            yield from exposed.seqs


def _exposed(incidents: Incidents, made: Assessment) -> Iterator[ExposedDelivery]:
    after = -1
    while rows := incidents.deliveries(made.incident, made.revision, after=after, limit=_ROWS_AT_ONCE):
        yield from rows
        after = rows[-1].position


def _row(one: Obligation) -> dict[str, Any]:
    instants = {
        "opened_at": one.opened_at_ms,
        "acknowledge_by": one.acknowledge_by_ms,
        "delete_by": one.delete_by_ms,
        "attest_by": one.attest_by_ms,
        "acknowledged_at": one.acknowledged_at_ms,
        "reported_at": one.reported_at_ms,
        "attested_at": one.attested_at_ms,
    }
    return {
        "obligation": one.obligation,
        "developer": one.developer,
        "state": one.state,
        "deliveries": one.deliveries,
        "list_root": one.list_root,
        **{name: None if at_ms is None else format_rfc3339(at_ms) for name, at_ms in instants.items()},
        "attestation": one.attestation,
        "overdue": list(one.overdue),
        "steps": list(one.steps),
        "contradicted_by": one.contradicted_by,
    }


def _indented(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
