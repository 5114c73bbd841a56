"""A served ledger on which deliveries really went to the wrong developer, and an incident of them with a frozen set."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from ledger.engines.codec import MsgspecCodec
from ledger.gateway.parties import NewApp
from ledger.incidents.policies import DAY_MS, HOUR_MS, Policies
from ledger.ingest.sources import open_source
from ledger.ports import Subject
from ledger.ports.incidents import AffectedPerson, Assessment, ExposedDelivery, Incident
from ledger.ports.registry import Webhook
from ledger.store.incidents import SqlIncidents
from ledger.wiring.duties import Duties
from ledger.wiring.service import Service
from ledger.wiring.surroundings import SYSTEM_CLOCK
from tests.support.service_world import HOOK, ServiceWorld

INCIDENT = "i-1"
OPERATOR = "operator:test"
GRANTING, OTHERS = "783214", ("5550001", "5550002")


class LateClock:
    """The system's clock, later by as much as a test says."""

    def __init__(self) -> None:
        self.later_ms = 0

    def now_ms(self) -> int:
        return SYSTEM_CLOCK.now_ms() + self.later_ms


class DutiesWorld:
    """Deliveries of one account, meant for ``right``, that ``wrong`` received; close it, or use ``with``.

    The incident is assessed with all of them; ``people`` are the account and the two others in them.
    """

    def __init__(self, directory: Path, *, deliveries: int = 4, **options: Any) -> None:
        self.directory = directory
        self.clock = LateClock()
        self.world = ServiceWorld(directory, **options)
        self.service: Service = self.world.service
        self.service.clock = self.service.ledger.clock = self.clock
        self.right: NewApp = self.world.new_app("DeskLine")
        self.wrong: NewApp = self.world.new_app("OtherDesk")
        self.hook_right: Webhook = self.world.new_webhook(self.right, "a.example")
        self.hook_wrong: Webhook = self.world.new_webhook(self.wrong, "b.example")
        self.account: Subject = self.world.new_account(GRANTING)
        self.world.subscribe(self.right, self.hook_right, self.account)
        self.misdeliver([f"d-{number}" for number in range(deliveries)])
        self.set_policies()
        self.assess()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.world.close()

    @cached_property
    def incidents(self) -> SqlIncidents:
        return SqlIncidents(self.service.ledger.engine)

    @property
    def duties(self) -> Duties:
        return self.service.duties

    @property
    def developer(self) -> str:
        """Who received what it should not have."""
        return self.wrong.app.developer

    @property
    def people(self) -> list[str]:
        """The tags of everybody affected, sorted."""
        found = self.service.vault.find([GRANTING, *OTHERS])
        return sorted(one.tag for one in found.values())

    def misdeliver(self, names: Sequence[str], **changed: Any) -> None:
        """Deliveries for ``right`` that ended at ``wrong``, recorded as another system reports them."""
        now_ms = self.clock.now_ms()
        lines = [
            json.dumps(
                {
                    "kind": "delivery.imported",
                    "delivery": name,
                    "event": f"e-{name}",
                    "event_type": "direct_message_events",
                    "account": GRANTING,
                    "subjects": list(OTHERS),
                    "private": True,
                    "endpoint": self.hook_right.webhook,
                    "attempt": 1,
                    "started_at": now_ms,
                    "ended_at": now_ms,
                    "observed": {"host": "b.example", "port": 443, "path": HOOK},
                    "status": 200,
                    **changed,
                }
            )
            for name in names
        ]
        path = self.directory / f"{names[0]}.jsonl"
        path.write_text("\n".join(lines) + "\n")
        report = self.service.ledger.import_from(open_source(str(path), sys.stdin.buffer))
        assert report.rejected == 0, report
        self.service.ledger.sequencer.catch_up()
        self.service.ledger.sealer.seal()

    def set_policies(self) -> None:
        policies = Policies(self.service.ledger.sequencer, self.incidents, self.clock)
        for name, period_ms in (
            ("deletion_ack", 24 * HOUR_MS),
            ("deletion_done", 7 * DAY_MS),
            ("deletion_attest", 10 * DAY_MS),
        ):
            policies.set(name, None, period_ms, OPERATOR)

    def entries(self, *kinds: str) -> list[Any]:
        """The entries of ``kinds``, in order."""
        store, codec = self.service.ledger.store, MsgspecCodec()
        found: list[Any] = [codec.decode(row.data) for row in store.fetch_range(0, store.size())]
        return [entry for entry in found if entry.kind in kinds]

    def assess(self, *left_out: str) -> int:
        """Freeze all misdeliveries that there are, but those ``left_out``, as the next revision; its number."""
        told = [one for one in self.entries("delivery.imported") if one.delivery not in left_out]
        exposed = [
            ExposedDelivery(
                position=place,
                delivery=entry.delivery,
                attempt=entry.attempt,
                code="WRONG_DEVELOPER",
                verdict="UNAUTHORIZED",
                evidence="definite",
                account=entry.account,
                subjects=tuple(entry.subjects),
                developer=entry.developer,
                received_by=entry.received_by.developer,
                candidates=(),
                app=self.right.app.app,
                endpoint=entry.endpoint,
                event_type=entry.event_type,
                private=entry.private,
                started_at_ms=entry.started_at,
                seqs=(entry.seq,),
            )
            for place, entry in enumerate(told)
        ]
        return put_assessment(self.service, self.incidents, exposed, self.clock.now_ms())

    def notices(self) -> Mapping[str, int]:
        """How many notices there are, by ``medium state``."""
        counts = self.duties.notices.count(INCIDENT)
        return {f"{one.medium} {one.state}": one.notices for one in counts}


def put_assessment(
    service: Service, incidents: SqlIncidents, exposed: Sequence[ExposedDelivery], now_ms: int
) -> int:
    """Freeze ``exposed`` as the next revision of :data:`INCIDENT`, which is made where it is not there; its number."""
    found = incidents.load(INCIDENT)
    if found is None:
        made = Incident(INCIDENT, "wrong_developer", None, 0, "detected", 0, now_ms, now_ms)
        service.registry.apply([incidents.put_incident(made)])
    revision = 1 if found is None else found.revision + 1
    people = people_of(exposed)
    staging = incidents.stage(INCIDENT, now_ms)
    incidents.stage_deliveries(staging, exposed)
    incidents.stage_people(staging, people)
    assessment = Assessment(
        incident=INCIDENT,
        revision=revision,
        tree_size=service.ledger.store.size(),
        root="0" * 64,
        rule_set="r",
        rule_set_sha256="0" * 64,
        query="{}",
        findings=len(exposed),
        findings_root="0" * 64,
        window_from_ms=0,
        window_to_ms=now_ms,
        accounts_definite=1,
        accounts_possible=0,
        others_definite=len(people) - 1,
        others_possible=0,
        people=len(people),
        deliveries=len(exposed),
        copies=len(exposed),
        active_accounts=1,
        breakdown={},
        assessed_at_ms=now_ms,
    )
    service.registry.apply(
        [
            incidents.put_assessment(assessment, staging),
            incidents.put_revision(INCIDENT, revision, now_ms),
        ]
    )
    return revision


def people_of(exposed: Sequence[ExposedDelivery]) -> list[AffectedPerson]:
    """Everybody in ``exposed``, once."""
    seen: dict[str, list[ExposedDelivery]] = {}
    for one in exposed:
        for tag in {*one.subjects, *([one.account] if one.account else [])}:
            seen.setdefault(tag, []).append(one)
    return [
        AffectedPerson(
            account=tag,
            is_definite=True,
            is_granting=any(one.account == tag for one in its),
            is_other=any(one.account != tag for one in its),
            deliveries=len(its),
            first_at_ms=min(one.started_at_ms for one in its),
            last_at_ms=max(one.started_at_ms for one in its),
            received_by=tuple(sorted({one.received_by for one in its if one.received_by})),
            event_types=tuple(sorted({one.event_type for one in its if one.event_type})),
            private=any(one.private for one in its),
        )
        for tag, its in sorted(seen.items())
    ]
