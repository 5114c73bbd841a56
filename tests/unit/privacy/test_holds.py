"""Legal holds through the real ledger: on accounts, on incidents, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.core.canonical import JsonValue
from ledger.errors import ConflictError, RejectedError, UsageError
from ledger.gateway.drafts import live_draft
from ledger.ports.vault import Subject
from ledger.privacy.erasures import Erasures
from ledger.privacy.holds import LegalHolds
from ledger.sequencer.draft import Rejection
from tests.support.duties_world import INCIDENT as REAL
from tests.support.duties_world import OTHERS, DutiesWorld
from tests.support.service_world import ServiceWorld

ADA, GRACE = "operator:ada", "operator:grace"
INCIDENT = "inc-1"


class Affected:
    """Which people an incident affects, as a list."""

    def __init__(self) -> None:
        self.people: list[str] = []

    def of_account(self, account: str) -> Sequence[str]:
        return [INCIDENT] if account in self.people else []

    def is_known(self, incident: str) -> bool:
        return incident == INCIDENT

    def people_of(self, incident: str) -> list[str]:
        return list(self.people)


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path_factory.mktemp("holds")) as made:
        yield made


@pytest.fixture
def affected() -> Affected:
    return Affected()


@pytest.fixture
def holds(world: ServiceWorld, affected: Affected) -> LegalHolds:
    service = world.service
    return LegalHolds(
        sequencer=service.ledger.sequencer,
        book=service.privacy.book,
        incidents=affected,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )


@pytest.fixture
def erasures(world: ServiceWorld, affected: Affected) -> Erasures:
    service = world.service
    return Erasures(
        sequencer=service.ledger.sequencer,
        registry=service.registry,
        book=service.privacy.book,
        destroyer=service.privacy.destroyer,
        incidents=affected,
        policies=service.incidents.policies,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )


@pytest.fixture
def person(world: ServiceWorld) -> Subject:
    return world.new_account("1001")


def entries(world: ServiceWorld, kind: str) -> list[dict[str, Any]]:
    store = world.service.ledger.store
    found = [json.loads(row.data) for row in store.fetch_range(0, store.size())]
    return [entry for entry in found if entry["kind"] == kind]


def test_a_hold_is_an_entry_with_a_commitment_to_what_it_is_for(
    world: ServiceWorld, holds: LegalHolds, person: Subject
) -> None:
    placed = holds.place(placed_by=ADA, account=person.tag, words="case 17 of Evelyn Sample")
    (entry,) = entries(world, "hold.placed")
    assert (entry["hold"], entry["account"], entry["actor"]) == (placed.hold, person.tag, ADA)
    assert len(entry["text"]) == 64
    assert "Evelyn" not in json.dumps(entry)
    ((shown, accounts),) = holds.load_all()
    assert (holds.words_of(shown), accounts) == ("case 17 of Evelyn Sample", 1)


def test_approving_under_a_hold_is_refused_and_ends_no_grant(
    world: ServiceWorld, holds: LegalHolds, erasures: Erasures, person: Subject
) -> None:
    app = world.new_app()
    world.subscribe(app, world.new_webhook(app), person)
    placed = holds.place(placed_by=ADA, account=person.tag)
    asked = erasures.request(person, basis="request", requested_by=ADA)
    with pytest.raises(RejectedError, match=rf"{placed.hold}.*grantledger hold lift {placed.hold}"):
        erasures.approve(asked.erasure, approved_by=GRACE)
    assert entries(world, "grant.revoked") == []
    holds.lift(placed.hold, lifted_by=GRACE)
    assert erasures.approve(asked.erasure, approved_by=GRACE).state == "clean"


def test_a_hold_that_is_placed_while_the_erasure_is_on_its_way_wins(
    world: ServiceWorld, holds: LegalHolds, person: Subject, affected: Affected
) -> None:
    service = world.service

    def place_one(step: str) -> None:
        if step == "erasure.grants_ended":
            holds.place(placed_by=ADA, account=person.tag, hold="h-late")

    late = Erasures(
        sequencer=service.ledger.sequencer,
        registry=service.registry,
        book=service.privacy.book,
        destroyer=service.privacy.destroyer,
        incidents=affected,
        policies=service.incidents.policies,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
        reached=place_one,
    )
    asked = late.request(person, basis="request", requested_by=ADA)
    with pytest.raises(RejectedError, match="h-late"):
        late.approve(asked.erasure, approved_by=GRACE)
    assert entries(world, "subject.erased") == entries(world, "account.deleted") == []
    assert service.vault.account_of([person.tag])


def test_a_hold_on_an_incident_is_spelled_out_for_everybody_and_reaches_who_is_found_later(
    world: ServiceWorld, holds: LegalHolds, erasures: Erasures, person: Subject, affected: Affected
) -> None:
    other = world.new_account("1002")
    affected.people = [person.tag]
    placed = holds.place(placed_by=ADA, incident=INCIDENT, hold="h-inc")
    assert [entry.get("account") for entry in entries(world, "hold.placed")] == [None, person.tag]
    affected.people = sorted([person.tag, other.tag])
    # Not spelled out yet, and refused all the same: the person's incidents are asked for.
    asked = erasures.request(other, basis="request", requested_by=ADA)
    with pytest.raises(RejectedError, match="h-inc"):
        erasures.approve(asked.erasure, approved_by=GRACE)
    assert holds.extend() == 1
    assert holds.extend() == 0
    assert holds.held_accounts() == {person.tag, other.tag}
    holds.lift(placed.hold, lifted_by=ADA)
    assert holds.held_accounts() == set()
    assert erasures.approve(asked.erasure, approved_by=GRACE).state == "clean"


def test_a_hold_on_a_real_incident_keeps_everybody_whom_it_affects(tmp_path: Path) -> None:
    with DutiesWorld(tmp_path) as duties:
        privacy, vault = duties.service.privacy, duties.service.vault
        subject = vault.find([OTHERS[0]])[OTHERS[0]]
        privacy.holds.place(placed_by=ADA, incident=REAL, hold="h-real")
        ((_, accounts),) = privacy.holds.load_all()
        assert accounts == 3
        asked = privacy.erasures.request(subject, basis="request", requested_by=ADA)
        with pytest.raises(RejectedError, match="h-real"):
            privacy.erasures.approve(asked.erasure, approved_by=GRACE)
        # Somebody whom a later revision finds is held before anybody has spelled it out.
        duties.misdeliver(["d-9"], subjects=["5550009"])
        duties.assess()
        later = vault.find(["5550009"])["5550009"]
        assert later.tag not in privacy.holds.held_accounts()
        asked_later = privacy.erasures.request(later, basis="request", requested_by=ADA)
        with pytest.raises(RejectedError, match="h-real"):
            privacy.erasures.approve(asked_later.erasure, approved_by=GRACE)
        privacy.run_once()
        assert later.tag in privacy.holds.held_accounts()
        privacy.holds.lift("h-real", lifted_by=ADA)
        assert privacy.erasures.approve(asked.erasure, approved_by=GRACE).state == "clean"


def test_nobody_erased_is_held_for_an_incident(
    world: ServiceWorld, holds: LegalHolds, erasures: Erasures, person: Subject, affected: Affected
) -> None:
    other = world.new_account("1002")
    affected.people = sorted([person.tag, other.tag])
    asked = erasures.request(other, basis="request", requested_by=ADA)
    erasures.approve(asked.erasure, approved_by=GRACE)
    holds.place(placed_by=ADA, incident=INCIDENT, hold="h-inc")
    assert [entry.get("account") for entry in entries(world, "hold.placed")] == [None, person.tag]


def test_a_tag_that_nobody_has_is_not_held(world: ServiceWorld, holds: LegalHolds) -> None:
    with pytest.raises(UsageError, match="no account of the log has the tag"):
        holds.place(placed_by=ADA, account="a_" + "0" * 32)
    assert entries(world, "hold.placed") == []


def test_a_hold_is_not_extended_in_silence(world: ServiceWorld, holds: LegalHolds, person: Subject) -> None:
    now_ms = world.service.clock.now_ms()
    holds.place(placed_by=ADA, account=person.tag, hold="h-1", until_ms=now_ms + 60_000)
    with pytest.raises(ConflictError, match="place a second one beside it"):
        holds.place(placed_by=ADA, account=person.tag, hold="h-1", until_ms=now_ms + 120_000)
    assert holds.place(placed_by=ADA, account=person.tag, hold="h-1").until_ms == now_ms + 60_000


def test_the_ledger_refuses_an_erasure_under_hold_whoever_appends_it(
    world: ServiceWorld, holds: LegalHolds, person: Subject
) -> None:
    holds.place(placed_by=ADA, account=person.tag, hold="h-1")
    stated: dict[str, JsonValue] = {"account": person.tag, "basis": "request", "approved_by": GRACE}
    refused = world.service.ledger.sequencer.append(live_draft("subject.erased", ADA, stated))
    assert isinstance(refused, Rejection)
    assert "h-1" in refused.reason


def test_placing_the_same_hold_again_changes_nothing(
    world: ServiceWorld, holds: LegalHolds, person: Subject
) -> None:
    holds.place(placed_by=ADA, account=person.tag, hold="h-1")
    holds.place(placed_by=GRACE, account=person.tag, hold="h-1")
    assert len(entries(world, "hold.placed")) == 1


def test_lifting_twice_is_one_entry(world: ServiceWorld, holds: LegalHolds, person: Subject) -> None:
    holds.place(placed_by=ADA, account=person.tag, hold="h-1")
    first = holds.lift("h-1", lifted_by=ADA)
    assert holds.lift("h-1", lifted_by=GRACE) == first
    assert len(entries(world, "hold.lifted")) == 1
    with pytest.raises(ConflictError, match="was lifted"):
        holds.place(placed_by=ADA, account=person.tag, hold="h-1")


def test_what_cannot_be_held_is_refused(
    world: ServiceWorld, holds: LegalHolds, erasures: Erasures, person: Subject
) -> None:
    other = world.new_account("1002")
    with pytest.raises(UsageError, match="name one of them"):
        holds.place(placed_by=ADA)
    with pytest.raises(UsageError, match="name one of them"):
        holds.place(placed_by=ADA, account=person.tag, incident=INCIDENT)
    with pytest.raises(UsageError, match="no incident"):
        holds.place(placed_by=ADA, incident="inc-none")
    with pytest.raises(UsageError, match="no hold"):
        holds.lift("h-none", lifted_by=ADA)
    with pytest.raises(RejectedError, match="a later time"):
        holds.place(placed_by=ADA, account=person.tag, until_ms=1)
    with pytest.raises(RejectedError, match="id is"):
        holds.place(placed_by=ADA, account=person.tag, hold="../h")
    with pytest.raises(RejectedError, match="characters"):
        holds.place(placed_by=ADA, account=person.tag, words=" ")
    holds.place(placed_by=ADA, account=person.tag, hold="h-1")
    with pytest.raises(ConflictError, match="something else"):
        holds.place(placed_by=ADA, account=other.tag, hold="h-1")
    asked = erasures.request(other, basis="request", requested_by=ADA)
    erasures.approve(asked.erasure, approved_by=GRACE)
    with pytest.raises(UsageError, match="nothing left to be held"):
        holds.place(placed_by=ADA, account=other.tag)


def test_rows_that_a_restored_database_lacks_are_made_from_the_log(
    world: ServiceWorld, holds: LegalHolds, person: Subject
) -> None:
    for name in ("h-1", "h-2"):
        holds.place(placed_by=ADA, account=person.tag, hold=name)
    holds.lift("h-1", lifted_by=GRACE)
    with world.service.ledger.engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM privacy_holds")
        connection.commit()
    world.service.registry.apply(holds.rebuild())
    found = {one.hold: one for one, _ in holds.load_all()}
    assert (found["h-1"].lifted_by, found["h-2"].lifted_by) == (GRACE, None)
    assert found["h-2"].placed_by == ADA
