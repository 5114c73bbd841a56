"""Erasing a person through the real service: asked for, approved by another, destroyed behind the entry."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from ledger.core.admission import check_admission
from ledger.errors import ConflictError, RejectedError, UsageError
from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.ingest.sources import Source, open_source
from ledger.ports.privacy import Erasure
from ledger.ports.vault import Subject
from ledger.privacy.erasures import Erasures
from ledger.verifying import Asked, run_verification
from tests.support.service_world import ServiceWorld, payload

ADA, GRACE = "operator:ada", "operator:grace"
WORDS = "Please delete everything, Evelyn Sample"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path_factory.mktemp("erasures")) as made:
        yield made


@pytest.fixture
def person(world: ServiceWorld, request: pytest.FixtureRequest) -> Subject:
    number = abs(hash(request.node.name)) % 10**12
    return world.new_account(str(number))


def asked(world: ServiceWorld, person: Subject, **members: Any) -> Erasure:
    members = {"basis": "request", "requested_by": ADA, **members}
    return world.service.privacy.erasures.request(person, **members)


def entries_of(world: ServiceWorld, person: Subject) -> list[dict[str, Any]]:
    store = world.service.ledger.store
    found = [json.loads(row.data) for row in store.fetch_range(0, store.size())]
    return [entry for entry in found if entry.get("account") == person.tag]


def test_an_approved_erasure_appends_the_deletion_and_then_the_erasure_with_both_people(
    world: ServiceWorld, person: Subject
) -> None:
    erasure = asked(world, person, words=WORDS)
    done = world.service.privacy.erasures.approve(erasure.erasure, approved_by=GRACE)
    registered, deleted, erased = entries_of(world, person)
    assert (registered["kind"], deleted["kind"]) == ("account.registered", "account.deleted")
    assert erased["seq"] == done.seq
    shown = {name: erased[name] for name in ("kind", "basis", "actor", "approved_by", "request")}
    assert shown == {
        "kind": "subject.erased",
        "basis": "request",
        "actor": ADA,
        "approved_by": GRACE,
        "request": erasure.request,
    }
    assert WORDS not in json.dumps(entries_of(world, person))


def test_nobody_approves_what_they_asked_for(world: ServiceWorld, person: Subject) -> None:
    erasure = asked(world, person)
    with pytest.raises(RejectedError, match="another person"):
        world.service.privacy.erasures.approve(erasure.erasure, approved_by=ADA)
    assert world.service.vault.account_of([person.tag])
    assert len(entries_of(world, person)) == 1


def test_the_ledger_itself_refuses_an_erasure_by_one_person(world: ServiceWorld, person: Subject) -> None:
    members = {
        "kind": "subject.erased",
        "account": person.tag,
        "at": 1,
        "actor": ADA,
        "approved_by": ADA,
    }
    refused = world.service.ledger.sequencer.look(
        lambda history, _: check_admission(history, members, live=True)
    )
    assert refused == "an erasure is approved by another person than the one who asked for it"


def test_an_erased_id_gets_no_new_tag(world: ServiceWorld, person: Subject) -> None:
    account_id = world.service.vault.account_of([person.tag])[person.tag]
    world.service.privacy.erasures.approve(asked(world, person).erasure, approved_by=GRACE)
    with pytest.raises(RejectedError, match="erased"):
        world.service.parties.create_account(account_id)
    assert world.service.vault.erased_among([account_id]) == {account_id}


def test_approving_again_is_the_same_erasure(world: ServiceWorld, person: Subject) -> None:
    erasure = asked(world, person)
    first = world.service.privacy.erasures.approve(erasure.erasure, approved_by=GRACE)
    again = world.service.privacy.erasures.approve(erasure.erasure, approved_by=GRACE)
    assert again.seq == first.seq
    assert [entry["kind"] for entry in entries_of(world, person)].count("subject.erased") == 1


def test_a_second_request_is_the_first_one(world: ServiceWorld, person: Subject) -> None:
    first = asked(world, person)
    assert asked(world, person, requested_by=GRACE) == first


def test_a_request_for_somebody_erased_is_refused(world: ServiceWorld, person: Subject) -> None:
    world.service.privacy.erasures.approve(asked(world, person).erasure, approved_by=GRACE)
    with pytest.raises(UsageError, match="erased already, by entry"):
        asked(world, person)


def test_a_withdrawn_request_cannot_be_approved_and_its_words_are_gone(
    world: ServiceWorld, person: Subject
) -> None:
    erasure = asked(world, person, words=WORDS)
    assert world.service.privacy.erasures.words_of(person, erasure) == WORDS
    withdrawn = world.service.privacy.erasures.withdraw(erasure.erasure, withdrawn_by=ADA)
    assert (withdrawn.state, withdrawn.words_sealed) == ("withdrawn", None)
    with pytest.raises(ConflictError, match="withdrawn"):
        world.service.privacy.erasures.approve(erasure.erasure, approved_by=GRACE)
    with pytest.raises(ConflictError, match="is withdrawn and cannot be withdrawn"):
        world.service.privacy.erasures.withdraw(erasure.erasure, withdrawn_by=ADA)


def test_a_rule_that_nobody_has_set_is_no_basis(world: ServiceWorld, person: Subject) -> None:
    with pytest.raises(UsageError, match=r"nobody has set that policy.*grantledger policy set"):
        asked(world, person, basis="retention", policy="retention.made_up")
    world.service.incidents.policies.set("retention.deleted_accounts", None, 1_000, ADA)
    kept = asked(world, person, basis="retention", policy="retention.deleted_accounts")
    assert kept.policy == "retention.deleted_accounts"


def test_two_who_approve_at_once_make_one_erasure(world: ServiceWorld, person: Subject) -> None:
    erasure = asked(world, person)
    with ThreadPoolExecutor(4) as pool:
        approving = [
            pool.submit(
                world.service.privacy.erasures.approve, erasure.erasure, approved_by=f"operator:{name}"
            )
            for name in ("grace", "barbara", "hedy", "joan")
        ]
        assert len({one.result().seq for one in approving}) == 1
    assert [entry["kind"] for entry in entries_of(world, person)].count("subject.erased") == 1
    assert world.service.privacy.erasures.load(erasure.erasure).state == "clean"


class Interrupted(Erasures):
    """What carries erasures out, with somebody who does something once the grants have ended."""

    def __init__(
        self, world: ServiceWorld, interrupt: Callable[[], object], step: str = "erasure.grants_ended"
    ) -> None:
        service = world.service

        def reached(name: str) -> None:
            if name == step:
                interrupt()

        super().__init__(
            sequencer=service.ledger.sequencer,
            registry=service.registry,
            book=service.privacy.book,
            destroyer=service.privacy.destroyer,
            incidents=service.privacy._incidents,
            policies=service.incidents.policies,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
            reached=reached,
        )


def test_who_takes_a_request_back_while_it_is_carried_out_is_told_that_it_is_too_late(
    world: ServiceWorld, person: Subject
) -> None:
    erasure = asked(world, person)
    told: list[str] = []

    def take_back() -> None:
        with pytest.raises(ConflictError, match="is approved and cannot be withdrawn") as error:
            world.service.privacy.erasures.withdraw(erasure.erasure, withdrawn_by=ADA)
        told.append(error.value.reason)

    done = Interrupted(world, take_back).approve(erasure.erasure, approved_by=GRACE)
    assert (len(told), done.state) == (1, "clean")
    assert not world.service.vault.account_of([person.tag])


def test_a_request_that_was_taken_back_while_it_was_carried_out_is_not_carried_out(
    world: ServiceWorld, person: Subject
) -> None:
    erasure = asked(world, person)

    def lapse_and_take_back() -> None:
        # Whoever approved it was so slow that the claim has lapsed.
        with world.service.ledger.engine.connect() as connection:
            connection.execute(
                text("UPDATE privacy_erasures SET decided_at_ms = 1 WHERE erasure = :erasure"),
                {"erasure": erasure.erasure},
            )
            connection.commit()
        world.service.privacy.erasures.withdraw(erasure.erasure, withdrawn_by=ADA)

    with pytest.raises(ConflictError, match="was withdrawn"):
        Interrupted(world, lapse_and_take_back).approve(erasure.erasure, approved_by=GRACE)
    assert [entry["kind"] for entry in entries_of(world, person)] == ["account.registered"]
    assert world.service.vault.account_of([person.tag])
    assert world.service.privacy.erasures.load(erasure.erasure).state == "withdrawn"


def test_a_request_that_was_refused_can_be_taken_back(world: ServiceWorld, person: Subject) -> None:
    erasure = asked(world, person)

    def hold() -> None:
        world.service.privacy.holds.place(placed_by=ADA, account=person.tag)

    with pytest.raises(RejectedError, match="legal hold"):
        Interrupted(world, hold).approve(erasure.erasure, approved_by=GRACE)
    withdrawn = world.service.privacy.erasures.withdraw(erasure.erasure, withdrawn_by=ADA)
    assert withdrawn.state == "withdrawn"


def test_an_import_beside_an_erasure_brings_nobody_back(world: ServiceWorld, person: Subject) -> None:
    account_id = world.service.vault.account_of([person.tag])[person.tag]
    erasure = asked(world, person)
    record = {"kind": "account.suspended", "account": account_id, "at": 1_500_000_000_000}

    def records(count: int) -> Source:
        path = world.directory / "beside.jsonl"
        lines = [record | {"at": record["at"] + number} for number in range(count)]  # type: ignore[operator]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return open_source(str(path), io.BytesIO())

    with ThreadPoolExecutor(1) as pool:
        imported = pool.submit(world.service.ledger.import_from, records(5_000))
        world.service.privacy.erasures.approve(erasure.erasure, approved_by=GRACE)
        assert imported.result().rejected in range(5_001)
    assert not world.service.vault.find([account_id])
    again = world.service.ledger.import_from(records(1))
    assert again.rejected == 1
    # No second tag for anybody, and none that was not registered.
    store = world.service.ledger.store
    found = [json.loads(row.data) for row in store.fetch_range(0, store.size())]
    registered = [entry["account"] for entry in found if entry["kind"] == "account.registered"]
    assert len(registered) == len(set(registered))
    assert {entry["account"] for entry in found if "account" in entry} == set(registered)


def test_an_unknown_request_is_a_usage_error(world: ServiceWorld) -> None:
    with pytest.raises(UsageError, match="erase list"):
        world.service.privacy.erasures.approve("er-none", approved_by=GRACE)


@pytest.mark.parametrize(
    "members",
    [
        {"basis": "retention"},
        {"basis": "request", "policy": "retention.deleted_accounts"},
        {"words": " "},
        {"words": "x" * 5_000},
    ],
)
def test_an_unusable_request_is_rejected(
    world: ServiceWorld, person: Subject, members: dict[str, Any]
) -> None:
    with pytest.raises(RejectedError):
        asked(world, person, **members)


def test_everything_in_the_tables_about_the_person_goes_and_others_stay(world: ServiceWorld) -> None:
    app = world.new_app("Purged")
    hook = world.new_webhook(app, path="/webhooks/purged")
    event = payload("direct_message_events")
    erased = world.new_account(event["for_user_id"])
    other = world.new_account("8800")
    for one in (erased, other):
        world.subscribe(app, hook, one)
    for account_id in (event["for_user_id"], "8800"):
        (taken,) = world.service.intake.accept([OfferedEvent({**event, "for_user_id": account_id})])
        assert isinstance(taken, Accepted), taken
    plan = world.service.privacy.erasures.plan(erased.tag)
    assert plan.destroyed["bodies that wait or could be replayed"] == 1
    assert [one.app for one in plan.grants] == [app.app.app]
    done = world.service.privacy.erasures.approve(asked(world, erased).erasure, approved_by=GRACE)
    assert done.destroyed["subscriptions"] == 1
    assert done.destroyed["notices in the inbox"] >= 1
    assert set(world.service.privacy.book.count(erased.tag).values()) == {0}
    left = world.service.privacy.book.count(other.tag)
    assert left["subscriptions"] == left["bodies that wait or could be replayed"] == 1
    assert not done.left


def test_grants_are_revoked_before_the_account_is_deleted(world: ServiceWorld, person: Subject) -> None:
    app = world.new_app("Granted")
    world.subscribe(app, world.new_webhook(app, path="/webhooks/granted"), person)
    world.service.privacy.erasures.approve(asked(world, person).erasure, approved_by=GRACE)
    kinds = [entry["kind"] for entry in entries_of(world, person)]
    assert kinds[-4:] == ["grant.revoked", "subscription.deleted", "account.deleted", "subject.erased"]


def test_the_dry_run_changes_nothing(world: ServiceWorld, person: Subject) -> None:
    size = world.service.ledger.store.size()
    plan = world.service.privacy.erasures.plan(person.tag)
    assert (plan.is_known, plan.is_deleted, plan.erased_seq, plan.held) == (True, False, None, None)
    assert world.service.ledger.store.size() == size


def test_the_ledger_verifies_afterwards_and_counts_the_tag_as_not_checkable(world: ServiceWorld) -> None:
    person = world.new_account("77001")
    world.service.privacy.erasures.approve(asked(world, person).erasure, approved_by=GRACE)
    world.service.ledger.sealer.seal()
    asked_for = Asked(engine="scalar", remember=False)
    identities = world.service.ledger.identity_check()
    report = run_verification(world.settings, asked_for, lambda *_: None, identities).report
    assert report.exit_status == 0
    assert any("no vault row (erased" in note for note in report.notes)
