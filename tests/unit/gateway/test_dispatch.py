"""One parcel from the lease to the settlement."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook as Oracle
from structlog.testing import capture_logs

from ledger.core.retry import RETRY_WAITS_MS
from ledger.core.ticket import check_ticket
from ledger.core.webhook_auth import is_body_signature
from ledger.gateway.attempt_entries import CALLED_OFF
from ledger.gateway.delivering import ALTERED, ERASED, Begun
from ledger.ports import Permit
from ledger.ports.outbox import AttemptNote
from ledger.ports.registry import Subscription
from ledger.ports.sending import Answer, MayStart
from ledger.vault.commitments import is_committed, salt_of
from tests.simulation.faults import Died
from tests.simulation.network import PATH, SimulatedTransport
from tests.support.log_world import ORIGIN, START_MS, VERIFIER
from tests.unit.gateway.delivery_desk import ANN, BEN, Desk, message, open_desk, post
from tests.unit.transport.webhook_world import World as TlsWorld


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        yield opened


def the_note(desk: Desk) -> AttemptNote:
    (note,) = desk.deliver()
    assert note is not None
    return note


def host_of(desk: Desk, subscription: Subscription) -> str:
    webhook = desk.process.registry.load_webhook(subscription.webhook)
    return urlsplit(webhook.url).hostname or ""


def test_a_delivery_is_attempted_sent_and_settled_in_this_order(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    note = the_note(desk)
    assert (note.outcome, note.status) == ("delivered", 200)
    attempted, settled = desk.entries("delivery.attempted", "delivery.settled")
    assert settled["seq"] > attempted["seq"] == note.seq
    assert settled["by"] == "transport"
    assert settled["observed"] == {
        "host": "a.example",
        "port": 443,
        "path": PATH,
        "sni": "a.example",
        "peer_ip": "203.0.113.7",
        "signing_app": "1001",
    }
    assert desk.states() == ["delivered"]
    desk.check()


def test_the_attempts_entry_says_what_the_format_asks_for(desk: Desk) -> None:
    subscription = desk.subscribe()
    desk.offer(message())
    desk.deliver()
    (entry,) = desk.entries("delivery.attempted")
    webhook = desk.webhook()
    stated = {
        "event_type": "direct_message_events",
        "private": True,
        "channel": "push",
        "account": desk.tag(),
        "developer": "dev-a",
        "app": "1001",
        "environment": "prod",
        "endpoint": webhook.webhook,
        "subscription": subscription.subscription,
        "grant": subscription.grant,
        "body_bytes": 256,
        "worker": "process-1",
        "decided_at_size": entry["seq"],
        "send_before": entry["recorded_at"] + 1_000,
    }
    assert {name: entry[name] for name in stated} == stated


def test_the_payload_is_committed_to_under_the_accounts_own_key(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    desk.deliver()
    (entry,) = desk.entries("delivery.attempted")
    account = desk.process.vault.subjects_behind([desk.tag()])[desk.tag()]
    (seen,) = desk.network.arrived
    assert is_committed(entry["payload"], salt_of(account.key, entry["uid"], "payload"), seen.body)


def test_the_headers_are_those_that_developers_verify(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    desk.place.clock.ms = int(time.time() * 1_000)
    desk.deliver()
    (seen,) = desk.network.arrived
    headers = seen.headers
    assert headers["Content-Type"] == "application/json"
    secret = desk.process.parties.consumer_secret(desk.app())
    assert is_body_signature(secret, seen.body, headers["x-twitter-webhooks-signature"])
    (whsec,) = desk.process.dispatcher.signing.load_secrets(desk.webhook().webhook)
    Oracle(whsec).verify(seen.body, dict(headers))
    assert headers["webhook-id"] == desk.parcels()[0][0]
    ticket = check_ticket(headers["x-ledger-entry"], [VERIFIER])
    (attempted,) = desk.entries("delivery.attempted")
    assert (ticket.origin, ticket.seq) == (ORIGIN, attempted["seq"])
    assert set(headers) == {
        "Content-Type",
        "x-twitter-webhooks-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "x-ledger-entry",
    }


def test_a_failed_delivery_is_tried_on_the_schedule_with_one_id_and_then_dead(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    waits_s = [0.0]
    for wait_ms in RETRY_WAITS_MS:
        desk.fates.append("refuses")
        note = the_note(desk)
        assert note.outcome == "failed"
        ended_ms = desk.entries("delivery.settled")[-1]["ended_at"]
        assert desk.parcels()[0][3] - ended_ms == wait_ms
        desk.wait(wait_ms / 1_000 - 0.001)
        assert desk.claim() == []
        desk.wait(0.001)
        waits_s.append(wait_ms / 1_000)
    desk.fates.append("refuses")
    the_note(desk)
    assert desk.states() == ["dead"]
    assert [entry["attempt"] for entry in desk.entries("delivery.attempted")] == [1, 2, 3, 4]
    assert len({seen.headers["webhook-id"] for seen in desk.network.arrived}) == 1
    desk.check()


def test_an_app_may_have_a_schedule_of_its_own(desk: Desk) -> None:
    app = replace(desk.app(), retry_waits_ms=(5_000,))
    desk.process.registry.apply([desk.process.registry.put_app(app)])
    desk.subscribe()
    desk.offer(message())
    desk.fates += ["refuses", "refuses"]
    the_note(desk)
    desk.wait(5)
    the_note(desk)
    assert desk.states() == ["dead"]


@pytest.mark.parametrize("fate", ["unreachable", "hangs", "refuses"])
def test_what_is_known_of_a_failure_is_what_is_settled(desk: Desk, fate: Any) -> None:
    desk.subscribe()
    desk.offer(message())
    desk.fates.append(fate)
    note = the_note(desk)
    assert note.outcome == "failed"
    (settled,) = desk.entries("delivery.settled")
    expected = {"unreachable": "none", "hangs": "possible", "refuses": "confirmed"}[fate]
    assert settled["disclosure"] == expected
    assert ("status" in settled) == (fate == "refuses")


def test_a_status_that_is_none_is_left_out_and_the_attempt_is_settled_all_the_same(desk: Desk) -> None:
    class Odd(SimulatedTransport):
        def post(
            self, permit: Permit, headers: Mapping[str, str], body: bytes, may_start: MayStart
        ) -> Answer:
            answer = super().post(permit, headers, body, may_start)
            return replace(answer, observed=replace(answer.observed, status=999))

    desk.place.transport = Odd(desk.network)
    desk.restart()
    desk.subscribe()
    desk.offer(message())
    assert the_note(desk).status == 999
    (settled,) = desk.entries("delivery.settled")
    assert "status" not in settled
    assert settled["disclosure"] == "confirmed"


def test_a_retry_after_a_revocation_is_refused_and_never_sent(desk: Desk) -> None:
    subscription = desk.subscribe()
    desk.offer(message())
    desk.fates.append("unreachable")
    the_note(desk)
    desk.unsubscribe(subscription)
    desk.wait(3)
    assert the_note(desk).outcome == "refused"
    assert desk.network.arrived == []
    desk.check()


def test_a_retry_to_a_webhook_that_was_unsubscribed_is_refused_while_another_one_of_the_app_lives(
    desk: Desk,
) -> None:
    ended, kept = (desk.subscribe(app="1003", place=place) for place in (0, 1))
    desk.offer(message())
    desk.fates += ["unreachable", "unreachable"]
    desk.deliver()
    desk.unsubscribe(ended)
    desk.wait(3)
    outcomes = {note.webhook: (note.outcome, note.reason) for note in desk.deliver() if note is not None}
    assert outcomes == {
        ended.webhook: ("refused", "DELIVERED_AFTER_REVOCATION"),
        kept.webhook: ("delivered", None),
    }
    assert [seen.host for seen in desk.network.arrived] == [host_of(desk, kept)]
    assert sorted(desk.states()) == ["delivered", "refused"]
    desk.check()


def test_a_parcel_from_before_the_account_subscribed_anew_is_refused_all_the_same(desk: Desk) -> None:
    ended = desk.subscribe()
    desk.offer(message())
    desk.fates.append("unreachable")
    the_note(desk)
    desk.unsubscribe(ended)
    desk.subscribe()
    desk.wait(3)
    assert the_note(desk).reason == "DELIVERED_AFTER_REVOCATION"
    assert desk.network.arrived == []
    desk.check()


def test_each_webhook_of_an_app_receives_what_its_own_subscription_covers(desk: Desk) -> None:
    posts = desk.subscribe(app="1003", place=0, scopes=("posts",))
    messages = desk.subscribe(app="1003", place=1, scopes=("direct_messages",))
    desk.offer(post(), message())
    refused = sorted(note.reason or "" for note in desk.deliver() if note and note.outcome == "refused")
    assert refused == ["SCOPE_EXCEEDED", "SCOPE_EXCEEDED"]
    arrived = {(seen.host, "direct" in seen.body.decode()) for seen in desk.network.arrived}
    assert arrived == {(host_of(desk, posts), False), (host_of(desk, messages), True)}
    desk.check()


def test_a_revocation_while_the_body_waits_to_leave_calls_it_off_and_the_gate_says_why(desk: Desk) -> None:
    subscription = desk.subscribe()
    desk.offer(message())
    desk.network.meanwhile = lambda permit: desk.unsubscribe(subscription)
    note = the_note(desk)
    assert (note.outcome, note.reason) == ("failed", CALLED_OFF)
    assert desk.entries("delivery.settled")[0]["disclosure"] == "none"
    desk.network.meanwhile = lambda permit: None
    assert the_note(desk).outcome == "refused"
    assert desk.network.arrived == []
    assert desk.states() == ["refused"]
    desk.check()


def test_a_permit_that_ended_before_everything_was_ready_is_no_failure_of_the_developers(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    desk.network.meanwhile = lambda permit: desk.wait(1)
    for _ in range(6):
        assert the_note(desk).outcome == "failed"
        desk.wait(1)
    assert desk.states() == ["waiting"]
    desk.network.meanwhile = lambda permit: None
    assert the_note(desk).outcome == "delivered"


def test_of_two_who_hold_the_same_lease_one_sends(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    (leased,) = desk.claim()
    seen: list[AttemptNote | None] = []
    desk.network.meanwhile = lambda permit: seen.append(desk.process.dispatcher.step(leased))
    desk.process.dispatcher.step(leased)
    assert seen == [None]
    assert desk.process.dispatcher.step(leased) is None
    assert len(desk.network.arrived) == 1
    desk.check()


def test_an_attempt_whose_answer_got_lost_is_not_sent_but_settled_and_followed_by_the_next(
    desk: Desk,
) -> None:
    desk.subscribe()
    desk.offer(message())
    leased = desk.claim()
    # The attempt becomes durable, and nobody can tell: neither the append nor the look says so.
    desk.place.faults.plan(0, "blind")
    note = desk.process.dispatcher.step(leased[0])
    assert note is not None
    assert note.outcome == "unknown"
    assert desk.network.arrived == []
    (settled,) = desk.entries("delivery.settled")
    assert (settled["by"], settled["disclosure"]) == ("rescuer", "possible")
    desk.wait(3)
    assert the_note(desk).attempt == 2
    assert desk.states() == ["delivered"]
    desk.check()


@pytest.mark.parametrize("fate", ["dies before", "dies after"])
def test_after_a_death_the_attempt_is_settled_as_possible_and_the_next_one_follows(
    desk: Desk, fate: Any
) -> None:
    desk.subscribe()
    desk.offer(message())
    desk.fates.append(fate)
    with pytest.raises(Died):
        desk.deliver()
    desk.restart()
    assert desk.claim() == []
    desk.wait(75)
    (note,) = desk.deliver()
    assert note is not None
    assert (note.attempt, note.outcome) == (1, "unknown")
    assert the_note(desk).attempt == 2
    assert desk.states() == ["delivered"]
    desk.check()


def test_somebody_elses_attempt_is_left_alone_while_it_may_still_be_under_way(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    leased = desk.claim()
    desk.fates.append("dies before")
    with pytest.raises(Died):
        desk.process.dispatcher.step(leased[0])
    desk.restart()
    desk.wait(59.9)
    assert desk.process.dispatcher.step(leased[0]) is None
    assert desk.entries("delivery.settled") == []
    desk.wait(0.2)
    assert desk.process.dispatcher.step(leased[0]) is not None
    assert len(desk.entries("delivery.settled")) == 1


@pytest.mark.parametrize("fault", ["lost", "unreported", "blind"])
def test_a_settlement_that_fails_is_appended_again_and_tells_what_was_seen(desk: Desk, fault: Any) -> None:
    desk.subscribe()
    desk.offer(message())
    leased = desk.claim()
    desk.place.faults.plan(1, fault)
    note = desk.process.dispatcher.step(leased[0])
    assert note is not None
    assert note.outcome == "delivered"
    (settled,) = desk.entries("delivery.settled")
    assert settled["by"] == "transport"
    assert desk.states() == ["delivered"]
    desk.check()


def test_evidence_that_comes_after_the_rescuers_wins(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    leased = desk.claim()
    for passing in range(1, 9):
        desk.place.faults.plan(passing, "lost")
    assert desk.process.dispatcher.step(leased[0]) is None
    desk.place.faults.clear()
    assert desk.entries("delivery.settled") == []
    later = desk.process
    desk.process = type(later)(desk.place)
    desk.wait(60)
    assert desk.process.rescuer.run_once() == 1
    # Another parcel comes by, and what is owed is paid first.
    desk.offer(message(2))
    (second,) = [one for one in desk.claim() if one.parcel.delivery != leased[0].parcel.delivery]
    later.dispatcher.step(second)
    later.close()
    told = {
        entry["by"]: entry
        for entry in desk.entries("delivery.settled")
        if entry["delivery"] == leased[0].parcel.delivery
    }
    assert told["transport"]["status"] == 200
    assert told["rescuer"]["seq"] < told["transport"]["seq"]
    notes = desk.process.outbox.load_notes("1001", delivery=leased[0].parcel.delivery)
    assert [note.outcome for note in notes] == ["delivered"]
    desk.check()


def test_a_refusal_whose_note_got_lost_is_noted_when_the_gate_is_asked_again(desk: Desk) -> None:
    desk.subscribe(scopes=("posts",))
    desk.offer(message())
    leased = desk.claim()
    desk.place.faults.plan(1, "lost")
    assert desk.process.dispatcher.step(leased[0]) is None
    assert desk.states() == ["waiting"]
    note = desk.process.dispatcher.step(leased[0])
    assert note is not None
    assert (note.outcome, note.reason) == ("refused", "SCOPE_EXCEEDED")
    assert len(desk.entries("delivery.refused")) == 1
    assert desk.states() == ["refused"]
    assert [kept.reason for kept in desk.process.outbox.load_notes("1001")] == ["SCOPE_EXCEEDED"]


def test_nothing_of_an_erased_person_is_sent(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    desk.process.vault.erase([desk.tag()])
    assert the_note(desk).reason == ERASED
    assert desk.states() == ["dead"]
    assert desk.network.arrived == []


def test_a_body_that_was_altered_is_never_sent_and_holds_up_nobody(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message(1), message(2))
    first, second = desk.claim()
    altered = replace(first, held=replace(first.held, body_sealed=second.held.body_sealed))
    delivering = desk.process.dispatcher._delivering
    note, begun = delivering.begin([altered, second])
    assert isinstance(note, AttemptNote)
    assert note.reason == ALTERED
    assert isinstance(begun, Begun)
    delivering.settle([delivering.send(begun)])
    assert len(desk.network.arrived) == 1
    assert desk.states() == ["dead", "delivered"]


def test_a_key_that_does_not_open_holds_up_nobody_else(desk: Desk) -> None:
    desk.subscribe(app="1001")
    desk.subscribe(app="1002")
    desk.offer(message())
    app = replace(desk.app("1001"), secret_sealed=b"altered")
    desk.process.registry.apply([desk.process.registry.put_app(app)])
    begun = desk.process.dispatcher._delivering.begin(desk.claim())
    assert [one is None for one in begun] == [True, False]
    assert desk.entries("delivery.attempted")[0]["app"] == "1002"


def test_a_clock_that_went_back_dates_no_byte_before_its_attempt(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    leased = desk.claim()
    desk.place.clock.ms -= 3_600_000
    desk.process.dispatcher.step(leased[0])
    (attempted,) = desk.entries("delivery.attempted")
    (settled,) = desk.entries("delivery.settled")
    assert settled["started_at"] == attempted["recorded_at"] == START_MS
    desk.check()


def test_webhooks_with_one_address_get_what_is_theirs_signed_by_their_own_keys(desk: Desk) -> None:
    desk.subscribe(ANN, "1001")
    desk.subscribe(BEN, "1002")
    desk.offer(*(post(number, account) for number in range(5) for account in (ANN, BEN)))
    for _ in range(10):
        desk.deliver()
    hosts = {(seen.host, seen.account_id) for seen in desk.network.arrived}
    assert hosts == {("a.example", ANN), ("b.example", BEN)}
    for seen in desk.network.arrived:
        own = desk.network.secrets[seen.host]
        assert is_body_signature(own, seen.body, seen.headers["x-twitter-webhooks-signature"])


def test_a_test_event_says_nothing_of_anybody_and_leaves_no_entry(desk: Desk) -> None:
    desk.subscribe()
    before = len(desk.entries())
    note = desk.process.dispatcher.send_test(desk.app(), desk.webhook())
    assert note.outcome == "delivered"
    ((host, body, headers),) = desk.network.told
    assert host == "a.example"
    assert set(json.loads(body)["test_event"]) == {"webhook_id", "timestamp_ms"}
    assert "x-ledger-entry" not in headers
    assert len(desk.entries()) == before


def test_over_real_tls_each_webhook_at_one_address_gets_its_own_and_the_log_names_its_key(desk: Desk) -> None:
    hosts = ("a.example", "b.example")
    with TlsWorld(stopwatch=desk.place.clock.seconds) as world:
        server = world.serve(hosts)
        world.clock.at_ms = desk.place.clock.ms
        desk.subscribe(ANN, "1001")
        desk.subscribe(BEN, "1002")
        desk.place.transport = world.webhooks  # type: ignore[assignment]
        desk.restart()
        desk.offer(message(1, ANN), message(2, BEN))
        notes = desk.deliver()
        assert [note.outcome for note in notes if note] == ["delivered", "delivered"]
        visits = {str(visit.sni): visit for visit in server.visits}
    told = {entry["observed"]["sni"]: entry["observed"] for entry in desk.entries("delivery.settled")}
    bodies = {host: json.loads(visit.requests[0][1]) for host, visit in visits.items()}
    assert {host: body["for_user_id"] for host, body in bodies.items()} == dict(
        zip(hosts, (ANN, BEN), strict=True)
    )
    assert {host: seen["spki_sha256"] for host, seen in told.items()} == {
        host: visit.spki_sha256 for host, visit in visits.items()
    }
    desk.check()


def test_the_log_says_where_a_fault_was_and_nothing_of_what_it_was_given(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, stop = desk.process.dispatcher, threading.Event()

    def fail() -> None:
        stop.set()
        raise ValueError("invalid text: 783214 hunter2")

    monkeypatch.setattr(dispatcher, "claim", fail)
    with capture_logs() as told:
        dispatcher.run(stop)
    (line,) = [one for one in told if one["event"] == "dispatch.failed"]
    assert line["error"].startswith("ValueError at ")
    assert "hunter2" not in str(told)
