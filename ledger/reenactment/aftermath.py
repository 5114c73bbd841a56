"""What follows when the fault is found: incident, notices, obligations, updates, the draft, the export (sections 5.1 to 5.5).

The records are imported once more, into ``incident.db``, whose clock goes on from the day after the end. The operator does
what the announcement of 2018 promised, with the same services as anybody's; the developers who received what was not for
them behave each in one way (:mod:`ledger.reenactment.answering`). What came of it is compared with the truth: whom
notices are queued to with whose data went astray, and who owes deletion with whose keys ended the connections.

Equal arguments give equal sections, like the rest of the report; the sealed file differs in each run, because it is encrypted
under keys that are drawn anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.core.timestamps import format_rfc3339
from ledger.incidents.art33 import make_draft
from ledger.incidents.incidents import Evidence
from ledger.incidents.policies import HOUR_MS, PROPOSED
from ledger.ports.incidents import Incident
from ledger.reenactment.answering import Answering
from ledger.reenactment.books import Tell, import_whole, new_ledger, verified_log
from ledger.reenactment.clock import VirtualClock
from ledger.reenactment.handing_over import hand_over
from ledger.reenactment.places import Places
from ledger.reenactment.run import TrafficRun
from ledger.reporting.incident_report import render_art33
from ledger.service_settings import load_service_settings
from ledger.wiring.service import Service

OPERATOR = "operator:ops-1"
JURISDICTION = "gdpr"

WORDS = {
    "title": "Account activity sent to developers that the accounts had not authorized",
    "how_detected": "The ledger's audit found deliveries whose observed destination belongs to another developer.",
    "root_cause": "Dispatchers remembered destinations by a name that two developers could share.",
    "notice": "Some of your activity was sent to a developer that you had not given access to.",
    "nature": "confidentiality",
    "risk_level": "high",
    "risk_reasoning": "Direct messages and protected posts may be among what was sent.",
    "consequences": "Somebody who was not meant to may have read private messages.",
    "measures_before": "Every delivery was recorded with the destination that the connection showed.",
    "measures_taken": "Destinations are no longer remembered; nothing is sent without a permit.",
    "measures_planned": "Developers are held to deleting what they should not have.",
    "people_communication": "Everybody affected has a notice in the inbox.",
    "controller": "Example Platform, 1 Example Street, privacy@platform.example",
    "reporter": "On-call privacy engineer, privacy@platform.example",
    "dpo": "The data-protection officer, dpo@platform.example",
    "signatory": "The data-protection officer",
}
"""What somebody has to write, and no ledger knows; the draft lists what is still missing."""

STEPS = 13

FIRST_UPDATE = (
    "Between May 2017 and 10 September 2018 some account activity was sent to developers that the accounts had not "
    "authorized. The fault is mended. Everybody affected has been told in the app; those developers have to delete it."
)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """One run of it: where it is written, what happened before, and how progress is told."""

    places: Places
    run: TrafficRun
    name: str
    began_ms: int
    tell: Tell

    def play(self) -> dict[str, Any] | None:
        """Everything, in order; the report's section, or None where nothing was found to have gone astray."""
        settings = self.places.settings("incident")
        clock = VirtualClock(self.began_ms)
        with new_ledger(settings, f"{self.name}-incident", clock) as ledger:
            import_whole(ledger, self.places.file("records.jsonl"), lambda _done, _total: None)
            # The service closes the ledger too, which may be closed twice.
            with Service(ledger, load_service_settings({})) as service:
                return _Story(self, service, clock).play()


class _Story:
    """The steps on one open service."""

    def __init__(self, asked: Aftermath, service: Service, clock: VirtualClock) -> None:
        self._asked = asked
        self._service = service
        self._clock = clock
        self._began_ms = clock.at_ms
        self._steps: list[dict[str, Any]] = []
        self._names = {one.developer: one.name for one in asked.run.world.developers}

    def play(self) -> dict[str, Any] | None:
        for one in PROPOSED:
            self._service.incidents.policies.set(one.policy, one.jurisdiction, one.period_ms, OPERATOR)
        found = self._at(0, "the findings become an incident, frozen as they stand", self._open)
        if not found:
            return None
        incident = max(found, key=lambda one: (self._receivers(one), one.incident))
        name, duties = incident.incident, self._service.duties
        self._at(1, "how it was noticed and what happened is written down", lambda: self._describe(name))
        notices = self._at(2, "everybody affected gets a notice", lambda: self._notify(name))
        owed = self._at(
            3,
            "whoever received what was not for it has to delete it",
            lambda: duties.obligations.open(name, actor=OPERATOR),
        )
        answering = Answering(
            self._service, self._asked.name, sorted(one.obligation.developer for one in owed), self._wait
        )
        self._at(5, "the first public update", lambda: self._publish(name, FIRST_UPDATE))
        self._at(6, "those who answer acknowledge", lambda: answering.acknowledge(name))
        draft = self._at(20, "the authority is told, within 72 hours", lambda: self._tell_authority(name))
        self._at(30, "whoever has not acknowledged is overdue", duties.watch_once)
        self._at(48, "those who answer sign that it is deleted", lambda: answering.attest(name))
        self._at(
            72, "a developer confirms to have what it signed to have deleted", lambda: answering.betray(name)
        )
        self._at(73, "that is held against its signature", duties.watch_once)
        self._at(
            8 * 24,
            "the silent one is reminded, then its deliveries and apps are stopped",
            lambda: answering.escalate(name),
        )
        self._at(9 * 24, "the second public update", lambda: self._publish(name, answering.in_words(name)))
        handed_over = self._at(
            10 * 24,
            "an export for the authority: approved by a second person, sealed, opened, checked offline",
            lambda: hand_over(self._service, self._asked.places, name),
        )
        self._service.ledger.sealer.seal()
        return {
            "incident": self._summary(name),
            "incidents": len(found),
            "steps": self._steps,
            "notices": notices,
            "obligations": [{"name": self._names[row["developer"]], **row} for row in answering.rows(name)],
            "obligations_right": {one.obligation.developer for one in owed} == self._wrong_receivers(),
            "updates": len(self._service.incidents.book.updates(name)),
            "draft": draft,
            "export": handed_over,
            "verify": self._verify(),
        }

    def _at(self, hours: int, what: str, step: Callable[[], Any]) -> Any:
        """Take ``step`` at ``hours`` after the findings, and remember it as ``what``."""
        self._clock.at_ms = max(self._clock.at_ms, self._began_ms + hours * HOUR_MS)
        self._steps.append({"at": format_rfc3339(self._clock.at_ms), "hours": hours, "what": what})
        done = step()
        self._asked.tell(len(self._steps), STEPS)
        return done

    def _wait(self) -> None:
        """A minute passes."""
        self._clock.at_ms += 60_000

    def _open(self) -> list[Incident]:
        settings = self._asked.places.settings("incident")
        with verified_log(settings, lambda _done, _total: None) as (verified, source):
            opened = self._service.incidents.desk.open_from_findings(Evidence(verified, source), OPERATOR)
        return [one.incident for one in opened]

    def _receivers(self, incident: Incident) -> int:
        return len(self._service.incidents.book.receivers(incident.incident, incident.revision))

    def _describe(self, incident: str) -> None:
        desk = self._service.incidents.desk
        desk.claim_moment(
            incident, "first_report", "a line of `grantledger verify`", OPERATOR, self._began_ms
        )
        desk.claim_moment(incident, "reasonable_certainty", "each finding looked at by two people", OPERATOR)
        for field, text in WORDS.items():
            desk.describe(incident, field, text, OPERATOR)
        desk.decide(incident, "stop-sending", "Nothing is sent by the old dispatchers any more.", OPERATOR)
        desk.set_status(incident, "halted", OPERATOR)

    def _notify(self, incident: str) -> dict[str, Any]:
        """Queue and send, and hold those who are told against the people of the deliveries that truly went astray."""
        duties = self._service.duties
        queued = duties.notices.queue(incident, actor=OPERATOR)
        duties.sender.run_once()
        told: set[str] = set()
        after = ""
        while rows := duties.notices.load_of_incident(incident, after):
            told.update(row.account for row in rows)
            after = rows[-1].notice
        subjects = self._service.vault.find(self._wronged_people())
        expected = {subject.tag for subject in subjects.values()}
        return {
            "people": queued.people,
            "queued": queued.queued,
            "sent": sum(one.notices for one in duties.notices.count(incident) if one.state == "sent"),
            "missed": len(expected - told),
            "too_many": len(told - expected),
        }

    def _wronged_people(self) -> set[str]:
        return {
            person
            for attempt in self._asked.run.misdelivered
            for person in (attempt.account, *attempt.subjects)
        }

    def _wrong_receivers(self) -> set[str]:
        found = {attempt.received_developer for attempt in self._asked.run.misdelivered}
        return {developer for developer in found if developer is not None}

    def _publish(self, incident: str, text: str) -> None:
        self._service.incidents.desk.publish_update(incident, text, OPERATOR)

    def _tell_authority(self, incident: str) -> dict[str, Any]:
        parts = self._service.incidents
        draft = make_draft(parts.document(incident), JURISDICTION, "first", self._clock.now_ms())
        text = json.dumps(draft, indent=2, ensure_ascii=False) + "\n"
        self._asked.places.file("art33.json").write_text(text, "utf-8")
        self._asked.places.file("art33.html").write_text(render_art33(draft), "utf-8")
        parts.desk.note_authority_told(incident, JURISDICTION, "first", text, OPERATOR)
        return {
            "filled": len(draft["fields"]),
            "missing": [one["label"] for one in draft["missing"]],
            "is_late": draft["is_late"],
        }

    def _summary(self, incident: str) -> dict[str, Any]:
        document = self._service.incidents.document(incident)
        assessed = document["assessment"]
        names = ("incident", "cause", "status", "title", "awareness", "deadlines")
        return {
            **{name: document[name] for name in names},
            **{
                name: assessed[name]
                for name in ("findings", "findings_root", "accounts", "others", "deliveries", "copies")
            },
        }

    def _verify(self) -> dict[str, Any]:
        settings = self._asked.places.settings("incident")
        with verified_log(settings, lambda _done, _total: None) as (verified, _source):
            found = verified.report
        return {"exit_status": found.exit_status, "codes": found.codes()}
