"""Rows of incidents, exports, holds and erasures, made as the service makes them."""

from __future__ import annotations

from sqlalchemy import Engine

from ledger.ports import Subject
from ledger.ports.exports import Export
from ledger.ports.incidents import Policy, PublicUpdate
from ledger.ports.privacy import Erasure, LegalHold
from ledger.store.engine import begin_write
from ledger.store.exports import SqlExports
from ledger.store.incidents import SqlIncidents
from ledger.store.privacy import SqlPrivacy
from ledger.vault.sealing import VaultSealing
from tests.conformance.incidents_suite import HEX, NOW_MS, assessment, event, exposed, incident, person

SALT = b"s" * 32


def fill_duties(engine: Engine, sealing: VaultSealing, subject: Subject, plea: str, case: str) -> None:
    """Put every kind of row in; ``plea`` is what somebody who wants to be erased wrote, ``case`` what a hold is for."""
    incidents, privacy = SqlIncidents(engine), SqlPrivacy(engine)
    staging = incidents.stage("i-1", NOW_MS)
    incidents.stage_deliveries(staging, [exposed(1, account=subject.tag)])
    incidents.stage_people(staging, [person(1, account=subject.tag)])
    hold = LegalHold(
        "h-1", subject.tag, "", SALT, sealing.seal_secret("hold/h-1", case), "operator:one", NOW_MS, None
    )
    changes = [
        incidents.put_incident(incident()),
        incidents.put_assessment(assessment(), staging),
        incidents.put_event(event(1)),
        incidents.put_update("i-1", PublicUpdate(1, "We know of it.", HEX, NOW_MS)),
        incidents.put_policy(Policy("notice.people", "", 1, NOW_MS, "policy/1")),
        SqlExports(engine).put(
            Export(
                "x-1",
                "requested",
                HEX,
                "{}",
                20,
                6,
                "",
                None,
                "operator:one",
                None,
                5,
                None,
                None,
                None,
                None,
            )
        ),
        privacy.put_hold(hold),
    ]
    with begin_write(engine, "filling tables") as connection:
        for change in changes:
            connection.execute(change.statement, dict(change.values))
    sealed = sealing.seal_for(subject, "erasure/er-1", plea.encode())
    privacy.add_erasure(Erasure("er-1", subject.tag, "request", None, HEX, SALT, sealed, "account", NOW_MS))
