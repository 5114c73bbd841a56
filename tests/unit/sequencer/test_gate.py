"""The gate: a permit only where backed and only where created, judged in order (ledger format, section 1.5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core import canonical
from ledger.ports.permit import Permit, Refused
from ledger.sequencer.draft import Appended, Decision, Draft, Rejection, expect
from tests.support.log_world import (
    START_MS,
    World,
    attempt,
    check_world,
    draft,
    grant,
    open_world,
    opening,
    revocation,
    settlement,
    tag,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = open_world(tmp_path)
    opened.sequencer.append_many(opening())
    yield opened
    opened.close()


def entry(world: World, seq: int) -> dict[str, canonical.JsonValue]:
    (row,) = world.store.fetch_range(seq, seq + 1)
    return canonical.decode(row.data)


def permitted(decision: Decision) -> Permit:
    assert isinstance(decision, Permit), decision
    return decision


def refused(decision: Decision) -> Refused:
    assert isinstance(decision, Refused), decision
    return decision


def test_a_backed_attempt_gets_a_permit_for_its_own_durable_entry(world: World) -> None:
    world.clock.ms += 7
    permit = permitted(world.sequencer.request(attempt("d-1")))
    members = entry(world, permit.seq)
    assert permit.url == "https://a.example/hook"
    assert (members["kind"], members["uid"]) == ("delivery.attempted", "delivery.attempted/d-1/1")
    assert members["decided_at_size"] == permit.seq
    assert (members["grant"], members["grant_version"], members["scope"]) == ("g-0", 1, "posts")
    assert members["at"] == START_MS + 7
    assert members["send_before"] == permit.send_before_ms == START_MS + 7 + 1000
    assert permit.leaf_hash == world.store.leaf_hashes(permit.seq, permit.seq + 1)


def test_a_revocation_recorded_first_wins_within_one_batch(world: World) -> None:
    decisions = world.sequencer.submit([attempt("d-1"), revocation(0), attempt("d-2")]).result()
    assert isinstance(decisions[0], Permit)
    assert refused(decisions[2]).code == "DELIVERED_AFTER_REVOCATION"
    check_world(world.directory)


def test_a_grant_recorded_just_before_counts(world: World) -> None:
    decisions = world.sequencer.submit([attempt("d-1", 9), grant(9), attempt("d-2", 9)]).result()
    assert refused(decisions[0]).code == "NO_GRANT"
    assert isinstance(decisions[2], Permit)


def test_a_refusal_is_durable_with_its_code_and_without_content(world: World) -> None:
    refusal = refused(world.sequencer.request(attempt("d-1", event_type="favorite_events")))
    members = entry(world, refusal.seq)
    assert (refusal.code, refusal.created) == ("SCOPE_EXCEEDED", True)
    assert (members["kind"], members["uid"]) == ("delivery.refused", "delivery.refused/d-1/1")
    assert members["reason"] == "SCOPE_EXCEEDED"
    assert not {"payload", "grant", "send_before"} & members.keys()


def test_a_retried_attempt_gets_no_second_permit(world: World) -> None:
    first = permitted(world.sequencer.request(attempt("d-1")))
    for again in (attempt("d-1"), attempt("d-1", worker="w2"), attempt("d-1", payload="2" * 64)):
        decision = world.sequencer.request(again)
        assert isinstance(decision, Appended)
        assert (decision.created, decision.seq) == (False, first.seq)


def test_of_64_workers_with_one_attempt_exactly_one_gets_a_permit(world: World) -> None:
    decisions: list[Decision] = []
    start = threading.Barrier(64)

    def work(number: int) -> None:
        start.wait()
        decisions.append(world.sequencer.request(attempt("d-1", worker=f"w{number}")))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(decision, Permit) for decision in decisions) == 1
    assert sum(isinstance(decision, Appended) and not decision.created for decision in decisions) == 63


def test_an_attempt_that_was_refused_stays_refused(world: World) -> None:
    first = refused(world.sequencer.request(attempt("d-1", 9)))
    world.sequencer.append(grant(9))
    again = refused(world.sequencer.request(attempt("d-1", 9)))
    assert (again.created, again.seq, again.code) == (False, first.seq, "NO_GRANT")
    assert isinstance(world.sequencer.request(attempt("d-1", 9, attempt=2)), Permit)


def test_another_content_under_one_attempt_is_a_conflict(world: World) -> None:
    world.sequencer.request(attempt("d-1"))
    decision = world.sequencer.request(attempt("d-1", event="e_" + "1" * 32))
    assert isinstance(decision, Rejection)
    assert decision.code == "conflict"


def test_a_permit_ends_with_the_grant_that_backs_it(world: World) -> None:
    world.clock.ms += 100
    ending = draft("grant.amended", "g-0", grant="g-0", account=tag(0), expires_at=START_MS + 400)
    expect(world.sequencer.append(ending))
    permit = permitted(world.sequencer.request(attempt("d-1")))
    assert permit.send_before_ms == START_MS + 400


def test_a_permit_ends_where_a_recorded_suspension_begins(world: World) -> None:
    ahead = draft("account.suspended", "a", account=tag(0))
    expect(world.sequencer.append(Draft({**ahead.members, "at": START_MS + 250})))
    assert permitted(world.sequencer.request(attempt("d-1"))).send_before_ms == START_MS + 250
    world.clock.ms += 250
    assert refused(world.sequencer.request(attempt("d-2"))).code == "ACCOUNT_NOT_ACTIVE"


def test_a_permit_ends_where_a_recorded_suspension_begins_after_a_restart(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    ahead = draft("account.suspended", "a", account=tag(0))
    expect(world.sequencer.append(Draft({**ahead.members, "at": START_MS + 250})))
    world.close()
    world = open_world(tmp_path)
    decision = permitted(world.sequencer.request(attempt("d-1")))
    world.close()
    assert decision.send_before_ms == START_MS + 250


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"endpoint": "wh-x"}, "ENDPOINT_UNKNOWN"),
        ({"app": "app-x"}, "ENDPOINT_NOT_OWNED"),
        ({"environment": "test"}, "WRONG_ENVIRONMENT"),
        ({"developer": "dev-x"}, "DEVELOPER_CHANGED_BY_TRANSFER"),
        ({"event_type": "new_events"}, "EVENT_TYPE_UNMAPPED"),
    ],
)
def test_an_intent_that_does_not_fit_is_refused(
    world: World, members: dict[str, canonical.JsonValue], code: str
) -> None:
    assert refused(world.sequencer.request(attempt("d-1", 0, **members))).code == code


def test_a_retired_endpoint_gets_nothing(world: World) -> None:
    retired = draft("endpoint.retired", "wh-a", endpoint="wh-a", app="app-a", developer="dev-a")
    expect(world.sequencer.append(retired))
    assert refused(world.sequencer.request(attempt("d-1"))).code == "ENDPOINT_UNKNOWN"


PARTY_CHANGES = {
    "developer.suspended": ({"developer": "dev-a"}, "APP_OR_DEVELOPER_SUSPENDED"),
    "app.suspended": ({"app": "app-a"}, "APP_OR_DEVELOPER_SUSPENDED"),
    "app.transferred": ({"app": "app-a", "developer": "dev-b"}, "DEVELOPER_CHANGED_BY_TRANSFER"),
    "endpoint.transferred": (
        {"endpoint": "wh-a", "app": "app-a", "environment": "dev"},
        "WRONG_ENVIRONMENT",
    ),
    "endpoint.retired": ({"endpoint": "wh-a"}, "ENDPOINT_UNKNOWN"),
}


@pytest.mark.parametrize("kind", PARTY_CHANGES)
def test_a_change_of_a_party_counts_for_the_next_attempt_of_the_same_batch(world: World, kind: str) -> None:
    members, code = PARTY_CHANGES[kind]
    decisions = world.sequencer.submit(
        [attempt("d-1"), draft(kind, "x", **members), attempt("d-2"), attempt("d-3", 1)]
    ).result()
    permitted(decisions[0])
    assert [refused(decision).code for decision in decisions[2:]] == [code, code]


@pytest.mark.parametrize("kind", PARTY_CHANGES)
def test_a_recorded_change_of_a_party_counts_from_its_own_instant_on(world: World, kind: str) -> None:
    members, code = PARTY_CHANGES[kind]
    expect(world.sequencer.append(draft(kind, "x", **members, at=START_MS + 250)))
    assert permitted(world.sequencer.request(attempt("d-1"))).send_before_ms == START_MS + 250
    world.clock.ms += 249
    permitted(world.sequencer.request(attempt("d-2")))
    world.clock.ms += 1
    assert refused(world.sequencer.request(attempt("d-3"))).code == code


@pytest.mark.parametrize("family", ["developer", "app"])
def test_a_party_that_is_reinstated_receives_again(world: World, family: str) -> None:
    members = {family: f"{family[:3]}-a"}
    decisions = world.sequencer.submit(
        [
            draft(f"{family}.suspended", "x", **members),
            attempt("d-1"),
            draft(f"{family}.reinstated", "x", **members, at=START_MS + 1),
        ]
    ).result()
    refused(decisions[1])
    world.clock.ms += 1
    permitted(world.sequencer.request(attempt("d-2")))


def test_a_processor_receives_until_its_declaration_ends(world: World) -> None:
    world.sequencer.append_many(
        [
            draft("app.registered", "app-b", app="app-b", developer="dev-b"),
            draft("endpoint.transferred", "wh-a", endpoint="wh-a", app="app-b", developer="dev-b"),
            draft("processor.declared", "b", developer="dev-a", processor="dev-b", until=START_MS + 100),
        ]
    )
    world.clock.ms += 99
    permitted(world.sequencer.request(attempt("d-1")))
    world.clock.ms += 1
    assert refused(world.sequencer.request(attempt("d-2"))).code == "ENDPOINT_NOT_OWNED"


def test_an_endpoint_that_moved_to_another_app_gets_nothing_meant_for_the_first(world: World) -> None:
    outcomes = world.sequencer.append_many(
        [
            draft("app.registered", "app-b", app="app-b", developer="dev-b"),
            draft("endpoint.transferred", "wh-a", endpoint="wh-a", app="app-b", developer="dev-b"),
        ]
    )
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert refused(world.sequencer.request(attempt("d-1"))).code == "ENDPOINT_NOT_OWNED"


def test_a_malformed_attempt_is_rejected_and_its_neighbours_are_not(world: World) -> None:
    bad = attempt("d-2", payload="secret")
    worse = attempt("d-3", account=5)
    decisions = world.sequencer.submit([attempt("d-1"), bad, worse, settlement("d-1")]).result()
    assert [type(decision) for decision in decisions] == [Permit, Rejection, Rejection, Appended]


def subscribed(
    world: World, number: int, grant_name: str, endpoint: str, **members: canonical.JsonValue
) -> None:
    """Account 0 subscribes at ``endpoint`` under a further grant of its posts."""
    stated: dict[str, canonical.JsonValue] = {
        "subscription": f"s-{number}",
        "endpoint": endpoint,
        "grant": grant_name,
        "account": tag(0),
    }
    created = draft("subscription.created", f"s-{number}", **stated, **members)
    for one in (grant(0, grant_name), created):
        expect(world.sequencer.append(one))


@pytest.fixture
def two_webhooks(world: World) -> World:
    """Account 0 has revoked what it granted first, and subscribes at two webhooks of the app."""
    second = draft(
        "endpoint.registered",
        "wh-b",
        endpoint="wh-b",
        app="app-a",
        environment="prod",
        url="https://b.example/hook",
    )
    expect(world.sequencer.append(second))
    expect(world.sequencer.append(revocation(0)))
    world.clock.ms += 1
    subscribed(world, 1, "g-s-1", "wh-a", at=world.clock.ms)
    subscribed(world, 2, "g-s-2", "wh-b", at=world.clock.ms)
    return world


def test_an_attempt_for_a_subscription_is_backed_by_its_own_grant(two_webhooks: World) -> None:
    attempts = [
        attempt("d-1", subscription="s-1"),
        attempt("d-2", endpoint="wh-b", subscription="s-2"),
    ]
    permits = [permitted(two_webhooks.sequencer.request(one)) for one in attempts]
    assert [permit.grant for permit in permits] == ["g-s-1", "g-s-2"]


def test_the_grant_of_another_webhook_is_no_leave_for_one_whose_subscription_ended(
    two_webhooks: World,
) -> None:
    ended = draft("grant.revoked", "g-s-1", grant="g-s-1", account=tag(0), at=two_webhooks.clock.ms)
    expect(two_webhooks.sequencer.append(ended))
    decision = refused(two_webhooks.sequencer.request(attempt("d-1", subscription="s-1")))
    assert decision.code == "DELIVERED_AFTER_REVOCATION"
    assert [miss.grant for miss in decision.nearest] == ["g-s-1"]
    permitted(two_webhooks.sequencer.request(attempt("d-2", endpoint="wh-b", subscription="s-2")))


def test_a_subscription_that_was_deleted_gets_nothing_though_its_grant_stands(two_webhooks: World) -> None:
    deleted = draft("subscription.deleted", "s-1", subscription="s-1", at=two_webhooks.clock.ms)
    expect(two_webhooks.sequencer.append(deleted))
    decision = refused(two_webhooks.sequencer.request(attempt("d-1", subscription="s-1")))
    assert decision.code == "DELIVERED_AFTER_REVOCATION"


def test_what_was_taken_from_one_webhook_is_not_sent_there_under_the_grant_of_another(
    two_webhooks: World,
) -> None:
    narrowed = draft(
        "grant.amended",
        "g-s-1",
        grant="g-s-1",
        account=tag(0),
        scopes=["likes"],
        at=two_webhooks.clock.ms,
    )
    expect(two_webhooks.sequencer.append(narrowed))
    two_webhooks.clock.ms += 1
    decision = refused(two_webhooks.sequencer.request(attempt("d-1", subscription="s-1")))
    assert decision.code == "SCOPE_NARROWED"


def test_a_subscription_is_no_leave_to_send_to_another_webhook_of_the_app(two_webhooks: World) -> None:
    decision = refused(two_webhooks.sequencer.request(attempt("d-1", endpoint="wh-b", subscription="s-1")))
    assert decision.code == "NO_GRANT"
    permitted(two_webhooks.sequencer.request(attempt("d-2", endpoint="wh-b")))


def test_a_subscription_that_the_log_does_not_know_says_nothing(two_webhooks: World) -> None:
    permitted(two_webhooks.sequencer.request(attempt("d-1", subscription="s-elsewhere")))
    permitted(two_webhooks.sequencer.request(attempt("d-2")))


def test_the_subscription_of_another_account_backs_nothing(two_webhooks: World) -> None:
    decision = two_webhooks.sequencer.request(attempt("d-1", number=1, subscription="s-1"))
    assert refused(decision).code == "NO_GRANT"
