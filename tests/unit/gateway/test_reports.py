"""Records that come in live: each by itself, once however often it comes, and tickets that end what they began."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.core.ticket import format_ticket
from ledger.errors import StoreError
from ledger.gateway.asked import NotPermitted, Permitted
from ledger.gateway.inflight import InFlight
from ledger.gateway.reports import NotTaken, Result, Taken, There
from ledger.ports.registry import App, Developer, Subscription, Webhook
from tests.support.delivering_world import (
    ALICE,
    BOB,
    EVE,
    DeliveringWorld,
    asked,
    delivery,
    open_delivering_world,
)
from tests.support.log_world import ORIGIN, SIGNER, START_MS

DAY = "2017-07-14T02:40:00Z"
REVOKED = {"kind": "grant.revoked", "grant": "g-1", "at": DAY}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DeliveringWorld]:
    with open_delivering_world(tmp_path) as opened:
        yield opened


def not_taken(result: Result) -> NotTaken:
    assert isinstance(result, NotTaken), result
    return result


def taken(result: Result) -> Taken:
    assert isinstance(result, Taken), result
    return result


def permit(world: DeliveringWorld, **members: Any) -> Permitted:
    (answer,) = world.ask(asked(**members))
    assert isinstance(answer, Permitted)
    return answer


def test_each_record_becomes_an_entry_of_whoever_handed_it_in(world: DeliveringWorld) -> None:
    records = [
        {"kind": "developer.registered", "developer": "dev-c", "at": DAY},
        {"kind": "app.registered", "app": "app-c", "developer": "dev-c", "at": DAY},
    ]
    results = [taken(result) for result in world.report(*records)]
    entries = world.entries()[-2:]
    assert [entry["seq"] for entry in entries] == [result.seq for result in results]
    assert {(entry["actor"], entry["via"]) for entry in entries} == {("platform:k1", "api")}


def test_the_same_record_again_changes_nothing(world: DeliveringWorld) -> None:
    first = taken(world.report(REVOKED)[0])
    size = len(world.entries())
    again = world.report(REVOKED, actor="platform:standby")[0]
    assert again == There(first.seq, first.leaf_hash)
    assert len(world.entries()) == size


def test_a_record_that_is_malformed_does_not_hold_up_its_neighbours(world: DeliveringWorld) -> None:
    results = world.reports.append([b"{}", json.dumps(REVOKED).encode(), b"junk"], "platform:k1")
    assert [type(result) for result in results] == [NotTaken, Taken, NotTaken]
    assert not_taken(results[0]).code == "malformed"


def test_what_the_ledger_refuses_is_told_with_its_reason(world: DeliveringWorld) -> None:
    result = not_taken(world.report({"kind": "grant.revoked", "grant": "g-none", "at": DAY})[0])
    assert (result.code, result.reason) == ("rejected", "the grant g-none is unknown")


def test_live_an_event_on_a_dead_grant_is_rejected(world: DeliveringWorld) -> None:
    results = world.report(REVOKED, {"kind": "grant.suspended", "grant": "g-1", "at": START_MS + 5})
    assert not_taken(results[1]).reason == "the grant g-1 is dead"


def test_a_uid_that_is_taken_with_another_content_is_a_conflict(world: DeliveringWorld) -> None:
    named = {"kind": "developer.registered", "uid": "mine/1", "at": DAY}
    results = world.report({**named, "developer": "dev-c"}, {**named, "developer": "dev-d"})
    assert not_taken(results[1]).code == "conflict"


def test_without_at_and_without_a_name_for_the_call_a_record_is_rejected(world: DeliveringWorld) -> None:
    result = not_taken(world.report({"kind": "grant.revoked", "grant": "g-1"})[0])
    assert result.code == "at_missing"


def test_without_at_it_takes_effect_when_it_is_recorded(world: DeliveringWorld) -> None:
    world.ingest.world.clock.ms = START_MS + 7
    taken(world.report({"kind": "grant.revoked", "grant": "g-1"}, request="call-1")[0])
    entry = world.entries()[-1]
    assert entry["at"] == entry["recorded_at"] == START_MS + 7


def test_a_named_call_made_again_later_is_the_same_entries(world: DeliveringWorld) -> None:
    records = [{"kind": "grant.suspended", "grant": "g-1"}, {"kind": "grant.resumed", "grant": "g-1"}]
    first = [taken(result) for result in world.report(*records, request="call-1")]
    world.ingest.world.clock.ms = START_MS + 60_000
    again = world.report(*records, request="call-1")
    assert again == [There(result.seq, result.leaf_hash) for result in first]


def test_another_named_call_with_the_same_records_is_another_event(world: DeliveringWorld) -> None:
    suspended, resumed = ({"kind": f"grant.{verb}", "grant": "g-1"} for verb in ("suspended", "resumed"))
    for number in range(2):
        world.ingest.world.clock.ms += 1_000
        results = world.report(suspended, resumed, request=f"call-{number}")
        assert [type(result) for result in results] == [Taken, Taken]


def test_a_named_call_with_other_records_is_a_conflict_at_their_places(world: DeliveringWorld) -> None:
    world.report({"kind": "grant.suspended", "grant": "g-1"}, request="call-1")
    results = world.report(
        {"kind": "developer.registered", "developer": "dev-c"},
        {"kind": "developer.registered", "developer": "dev-d"},
        request="call-1",
    )
    assert not_taken(results[0]).code == "conflict"
    assert isinstance(results[1], Taken)


def test_two_callers_may_name_their_calls_alike(world: DeliveringWorld) -> None:
    record = {"kind": "developer.suspended", "developer": "dev-a"}
    first = taken(world.report(record, request="call-1")[0])
    second = taken(world.report(record, request="call-1", actor="platform:k2")[0])
    assert first.seq != second.seq


def test_the_name_of_a_call_stands_in_no_entry(world: DeliveringWorld) -> None:
    world.report({"kind": "grant.suspended", "grant": "g-1"}, request="order-4711")
    assert "order-4711" not in json.dumps(world.entries())


def test_everybody_is_registered_before_a_record_names_them(world: DeliveringWorld) -> None:
    world.report(delivery(), delivery(delivery="d-2", subjects=[EVE, "1", "2"], event="event-2"))
    world.ingest.check_tags_are_registered_first()


def test_a_record_that_registers_somebody_needs_no_second_registration(world: DeliveringWorld) -> None:
    world.report({"kind": "account.registered", "account": EVE, "at": DAY}, delivery(subjects=[EVE]))
    world.report(delivery(delivery="d-2", subjects=[EVE], event="event-2"))
    world.ingest.check_tags_are_registered_first()


def test_somebody_named_only_in_a_rejected_record_is_registered_when_needed(world: DeliveringWorld) -> None:
    ticket = format_ticket(ORIGIN, 1, bytes(32), SIGNER)
    not_taken(world.report(delivery(subjects=[EVE], ticket=ticket))[0])
    world.report(delivery(delivery="d-2", subjects=[EVE], event="event-2"))
    world.ingest.check_tags_are_registered_first()


def test_a_record_about_an_erased_person_is_rejected_and_its_neighbours_go_in(world: DeliveringWorld) -> None:
    world.ingest.vault.erase([world.tag(BOB)])
    results = world.report(delivery(), delivery(delivery="d-2", subjects=[]))
    assert not_taken(results[0]).code == "erased"
    assert isinstance(results[1], Taken)


def test_no_reason_names_a_person(world: DeliveringWorld) -> None:
    world.ingest.vault.erase([world.tag(BOB)])
    bad = [delivery(), delivery(account="7 83214"), delivery(status="x"), delivery(uid=f"u/{ALICE}")]
    reasons = [not_taken(result).reason for result in world.report(*bad)]
    assert not any(person in reason for person in (ALICE, BOB, "7 83214") for reason in reasons)


def test_a_delivery_without_a_ticket_stays_an_import(world: DeliveringWorld) -> None:
    permit(world)
    taken(world.report(delivery())[0])
    assert world.entries()[-1]["kind"] == "delivery.imported"


def test_a_delivery_with_its_ticket_settles_the_attempt(world: DeliveringWorld) -> None:
    answer = permit(world)
    result = taken(world.report(delivery(ticket=answer.ticket))[0])
    entry = world.entries()[-1]
    assert (entry["kind"], entry["seq"]) == ("delivery.settled", result.seq)
    assert (entry["delivery"], entry["attempt"], entry["by"]) == ("d-1", 1, "transport")
    assert entry["observed"]["sni"] == "a.example"
    assert entry["received_by"]["developer"] == "dev-a"
    assert (entry["status"], entry["disclosure"]) == (200, "confirmed")


def test_the_same_settlement_again_changes_nothing(world: DeliveringWorld) -> None:
    record = delivery(ticket=permit(world).ticket)
    first = taken(world.report(record)[0])
    world.ingest.world.clock.ms += 5_000
    assert world.report(record)[0] == There(first.seq, first.leaf_hash)


def test_another_account_of_the_same_attempt_is_a_conflict(world: DeliveringWorld) -> None:
    ticket = permit(world).ticket
    world.report(delivery(ticket=ticket))
    assert not_taken(world.report(delivery(ticket=ticket, status=500))[0]).code == "conflict"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"account": EVE}, "account"),
        ({"subjects": []}, "subjects"),
        ({"event": "event-9"}, "event"),
        ({"event_type": "favorite_events"}, "event_type"),
        ({"private": True}, "private"),
        ({"channel": "pull"}, "channel"),
        ({"endpoint": "wh-b"}, "endpoint"),
        ({"app": "app-b"}, "app"),
        ({"environment": "test"}, "environment"),
    ],
)
def test_a_ticket_covers_only_what_was_authorized(
    world: DeliveringWorld, changed: dict[str, Any], named: str
) -> None:
    result = not_taken(world.report(delivery(ticket=permit(world).ticket, **changed))[0])
    assert result.code == "ticket"
    assert named in result.reason


@pytest.mark.parametrize("changed", [{"delivery": "d-9"}, {"attempt": 2}])
def test_the_ticket_of_another_attempt_is_refused(world: DeliveringWorld, changed: dict[str, Any]) -> None:
    result = not_taken(world.report(delivery(ticket=permit(world).ticket, **changed))[0])
    assert (result.code, result.reason) == ("ticket", "the ticket belongs to another delivery or attempt")


def test_a_ticket_of_nobody_is_refused(world: DeliveringWorld) -> None:
    ticket = permit(world).ticket
    for text in ("x", ticket[:-8] + "AAAAAAA=", ticket.replace(ORIGIN, "other.example/log")):
        assert not_taken(world.report(delivery(ticket=text))[0]).code == "ticket"


def test_a_promise_that_the_log_does_not_keep_is_told_as_broken(world: DeliveringWorld) -> None:
    permit(world)
    for seq in (3, 10_000):
        ticket = format_ticket(ORIGIN, seq, bytes(32), SIGNER)
        result = not_taken(world.report(delivery(ticket=ticket))[0])
        assert "which is not there: keep the ticket" in result.reason


def test_an_attempt_of_this_service_is_not_settled_by_others(world: DeliveringWorld) -> None:
    answer = permit(world)
    row = next(iter(world.ingest.world.store.fetch_range(answer.seq, answer.seq + 1)))
    own = json.loads(row.data) | {"via": "gate", "delivery": "d-own"}
    members = {
        name: own[name]
        for name in own
        if name not in ("seq", "prev", "recorded_at", "v", "uid", "kind", "at")
        and name not in ("grant", "grant_version", "scope", "decided_at_size", "send_before")
    }
    from ledger.ports import Permit
    from ledger.sequencer.draft import AttemptDraft

    made = world.ingest.world.sequencer.request(AttemptDraft(members))
    assert isinstance(made, Permit)
    ticket = world.tickets.sign(made.seq, made.leaf_hash)
    result = not_taken(world.report(delivery(delivery="d-own", ticket=ticket))[0])
    assert "this service's own" in result.reason


def test_an_account_is_told_of_a_grant_that_the_platform_records(world: DeliveringWorld) -> None:
    granted = {
        "kind": "grant.issued",
        "grant": "g-2",
        "account": EVE,
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "scopes": ["posts"],
        "at": DAY,
    }
    world.report(granted)
    (notice,) = world.registry.load_notices(world.tag(EVE))
    assert (notice.kind, notice.grant) == ("grant.issued", "g-2")
    assert "2017-07-14 02:40 UTC" in notice.text
    assert "your posts" in notice.text


def test_an_account_that_a_record_leaves_out_is_told_all_the_same(world: DeliveringWorld) -> None:
    world.report(REVOKED)
    (notice,) = world.registry.load_notices(world.tag(ALICE))
    assert (notice.kind, notice.grant) == ("grant.revoked", "g-1")


def test_an_account_is_told_once_however_often_the_record_comes(world: DeliveringWorld) -> None:
    for _ in range(2):
        world.report(REVOKED | {"account": ALICE})
    assert len(world.registry.load_notices(world.tag(ALICE))) == 1


def test_nobody_is_told_of_a_record_that_is_rejected(world: DeliveringWorld) -> None:
    world.report({"kind": "grant.amended", "grant": "g-1", "account": ALICE, "scopes": ["no"], "at": DAY})
    assert world.registry.load_notices(world.tag(ALICE)) == []


def subscribe(world: DeliveringWorld) -> None:
    registry, tag = world.registry, world.tag(ALICE)
    app = App("app-a", "dev-a", "Apps", "", "", "key", b"", ("prod",), (), (), True, START_MS)
    webhook = Webhook("wh-a", "app-a", "prod", "https://a.example/hook", True, START_MS, None, None, 0, None)
    subscription = Subscription("s-1", "wh-a", "app-a", "prod", tag, "g-1", ("posts",), START_MS)
    registry.apply(
        [
            registry.put_developer(Developer("dev-a", "Acme", START_MS)),
            registry.put_app(app),
            registry.put_webhook(webhook),
            registry.put_subscription(subscription),
        ]
    )


def test_a_revocation_ends_the_subscriptions_that_rest_on_the_grant(world: DeliveringWorld) -> None:
    subscribe(world)
    world.report(REVOKED)
    assert world.registry.load_subscription("wh-a", world.tag(ALICE)) is None
    (notice,) = world.registry.load_notices(world.tag(ALICE))
    assert 'the app "Apps" of Acme does not receive your posts' in notice.text


def test_a_recorded_end_of_a_subscription_ends_its_row(world: DeliveringWorld) -> None:
    subscribe(world)
    created = {"kind": "subscription.created", "subscription": "s-1", "grant": "g-1", "endpoint": "wh-a"}
    world.report(
        created | {"at": START_MS}, {"kind": "subscription.deleted", "subscription": "s-1", "at": START_MS}
    )
    assert world.registry.load_subscription("wh-a", world.tag(ALICE)) is None


def test_an_attempt_for_a_subscription_that_ended_is_refused_though_its_grant_stands(
    world: DeliveringWorld,
) -> None:
    created = {"kind": "subscription.created", "subscription": "s-1", "grant": "g-1", "endpoint": "wh-a"}
    world.report(created | {"at": START_MS})
    (permitted,) = world.ask(asked(subscription="s-1"))
    assert isinstance(permitted, Permitted)
    world.report({"kind": "subscription.deleted", "subscription": "s-1", "at": START_MS})
    (refused,) = world.ask(asked(delivery="d-2", subscription="s-1"))
    assert isinstance(refused, NotPermitted)
    assert refused.code == "DELIVERED_AFTER_REVOCATION"


def test_an_amendment_narrows_the_subscriptions_that_rest_on_the_grant(world: DeliveringWorld) -> None:
    subscribe(world)
    world.report({"kind": "grant.amended", "grant": "g-1", "scopes": ["likes"], "at": START_MS})
    subscription = world.registry.load_subscription("wh-a", world.tag(ALICE))
    assert subscription is not None
    assert subscription.scopes == ("likes",)


def test_calls_at_once_leave_each_record_in_the_log_once(world: DeliveringWorld) -> None:
    records = [delivery(delivery=f"d-{number}", subjects=[str(number)]) for number in range(50)]
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.extend(world.report(*records))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Taken) for result in results) == 50
    world.ingest.check_tags_are_registered_first()


def lend(world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Hand a permit of the grant to another system; for how long is waited for it from now on."""
    inflight: InFlight = world.reports._inflight
    slept: list[float] = []
    monkeypatch.setattr(inflight, "_sleep", slept.append)
    # A stopwatch that stands still: however slow this machine is, the permit lasts.
    monkeypatch.setattr(inflight, "_stopwatch", lambda: 0.0)
    (permitted,) = world.ask(asked())
    assert isinstance(permitted, Permitted)
    return slept


RESTRICTING: list[dict[str, Any]] = [
    {"kind": "grant.revoked", "grant": "g-1"},
    {"kind": "grant.amended", "grant": "g-1", "scopes": ["likes"]},
    {"kind": "account.suspended", "account": ALICE},
    {"kind": "developer.suspended", "developer": "dev-a"},
    {"kind": "app.suspended", "app": "app-a"},
    {"kind": "endpoint.retired", "endpoint": "wh-a"},
]


@pytest.mark.parametrize("record", RESTRICTING, ids=lambda record: record["kind"])
def test_a_restriction_is_answered_when_no_permit_that_was_handed_out_lasts(
    world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any]
) -> None:
    slept = lend(world, monkeypatch)
    world.report(record | {"at": START_MS})
    assert slept == [1.0]


def test_a_restriction_that_is_handed_in_again_is_waited_for_again(
    world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = lend(world, monkeypatch)
    results = [world.report(REVOKED)[0] for _ in range(2)]
    assert [type(result) for result in results] == [Taken, There]
    assert slept == [1.0, 1.0]


def test_the_end_of_a_subscription_is_waited_for_though_it_does_not_name_its_grant(
    world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = {"kind": "subscription.created", "subscription": "s-1", "grant": "g-1", "endpoint": "wh-a"}
    world.report(created | {"at": START_MS})
    slept = lend(world, monkeypatch)
    world.report({"kind": "subscription.deleted", "subscription": "s-1", "at": START_MS})
    assert slept == [1.0]


def test_all_restrictions_of_a_call_are_waited_for_together_and_nothing_else_is(
    world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = lend(world, monkeypatch)
    world.report({"kind": "developer.registered", "developer": "dev-new", "at": START_MS})
    assert slept == []
    world.report(*[record | {"at": START_MS} for record in RESTRICTING[2:]])
    assert slept == [1.0]


def test_an_account_is_told_though_the_answer_is_lost(
    world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise StoreError("lost on purpose")

    suspended = {"kind": "grant.suspended", "grant": "g-1", "at": START_MS}
    # Whatever would be written behind the entry is lost, and so is the answer.
    monkeypatch.setattr(type(world.registry), "apply", fail)
    monkeypatch.setattr(world.reports._inflight, "wait_for_all", fail)
    with pytest.raises(StoreError):
        world.report(suspended)
    monkeypatch.undo()
    assert isinstance(world.report(suspended)[0], There)
    (notice,) = world.registry.load_notices(world.tag(ALICE))
    assert (notice.kind, notice.grant) == ("grant.suspended", "g-1")


def test_a_grant_that_is_issued_and_changed_in_one_call_is_told_of_twice(world: DeliveringWorld) -> None:
    issued = {
        "kind": "grant.issued",
        "grant": "g-2",
        "account": ALICE,
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "scopes": ["posts"],
        "at": START_MS,
    }
    world.report(issued, {"kind": "grant.suspended", "grant": "g-2", "at": START_MS + 1})
    kinds = [notice.kind for notice in world.registry.load_notices(world.tag(ALICE))]
    assert kinds == ["grant.issued", "grant.suspended"]


def test_a_change_of_a_grant_that_is_issued_in_that_moment_is_handed_in_again(
    world: DeliveringWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = world.reports._notices.prepare

    def prepare_too_early(drafts: Any) -> Any:
        prepared = prepare(drafts)
        world.append(
            "grant.issued",
            "g-2",
            grant="g-2",
            account=ALICE,
            developer="dev-a",
            app="app-a",
            environment="prod",
            scopes=["posts"],
        )
        return prepared

    monkeypatch.setattr(world.reports._notices, "prepare", prepare_too_early)
    suspended = {"kind": "grant.suspended", "grant": "g-2", "at": START_MS + 1}
    (early,) = world.report(suspended)
    assert isinstance(early, NotTaken)
    assert early.code == "conflict"
    monkeypatch.undo()
    assert isinstance(world.report(suspended)[0], Taken)
    assert len(world.registry.load_notices(world.tag(ALICE))) == 1


def subscribe_by_records(world: DeliveringWorld) -> None:
    subscribe(world)
    created = {"kind": "subscription.created", "subscription": "s-1", "grant": "g-1", "endpoint": "wh-a"}
    world.report(created | {"at": START_MS})


def test_the_end_of_a_subscription_of_this_service_revokes_its_grant(world: DeliveringWorld) -> None:
    subscribe_by_records(world)
    deleted = {"kind": "subscription.deleted", "subscription": "s-1", "at": START_MS}
    results = [world.report(deleted)[0] for _ in range(2)]
    assert [type(result) for result in results] == [Taken, There]
    last = world.entries()[-2:]
    assert [entry["kind"] for entry in last] == ["grant.revoked", "subscription.deleted"]
    assert (last[0]["grant"], last[0]["at"]) == ("g-1", START_MS)
    (notice,) = world.registry.load_notices(world.tag(ALICE))
    assert "The platform ended this." in notice.text
    (refused,) = world.ask(asked())
    assert isinstance(refused, NotPermitted)


@pytest.mark.parametrize(
    "record",
    [{"kind": "grant.revoked", "grant": "g-1"}, {"kind": "subscription.deleted", "subscription": "s-1"}],
    ids=lambda record: record["kind"],
)
def test_a_row_ends_when_the_record_takes_effect(world: DeliveringWorld, record: dict[str, Any]) -> None:
    subscribe_by_records(world)
    world.report(record | {"at": START_MS + 1_000})
    last = world.registry.load_last_subscription("wh-a", world.tag(ALICE))
    assert last is not None
    assert last.ended_at_ms == START_MS + 1_000
    assert isinstance(world.ask(asked())[0], Permitted)
