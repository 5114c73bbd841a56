"""Events from the platform: what is taken, to whom it goes, and what is safe when the call returns."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import StoreError
from ledger.gateway.attempt_entries import body_context, delivery_id
from ledger.gateway.inflight import InFlight
from ledger.gateway.offered import (
    BODY_BYTES_MAX,
    EVENT_ID_CHARACTERS_MAX,
    PEOPLE_MAX,
    Accepted,
    NotAccepted,
    OfferedEvent,
    read_event,
)
from ledger.sequencer.draft import expect
from tests.support.ingest_world import OPERATOR_KEY, Stream
from tests.support.log_world import draft
from tests.unit.gateway.delivery_desk import (
    ANN,
    BEN,
    STRANGER,
    Desk,
    deletion,
    message,
    open_desk,
    post,
    revocation,
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        yield opened


def code_of(answer: object) -> str:
    assert isinstance(answer, NotAccepted)
    return answer.code


def test_an_event_becomes_a_parcel_for_each_live_subscription_of_its_account(desk: Desk) -> None:
    for app in ("1001", "1002"):
        desk.subscribe(app=app)
    desk.subscribe(BEN, app="1003")
    assert desk.offer(post()) == [Accepted("tweet_create_events.1", 2)]
    assert desk.states() == ["waiting", "waiting"]


def test_scopes_are_not_looked_at_because_that_is_the_gates_to_answer(desk: Desk) -> None:
    desk.subscribe(scopes=("posts",))
    assert desk.offer(message()) == [Accepted("direct_message_events.1", 1)]
    (note,) = desk.deliver()
    assert note is not None
    assert (note.outcome, note.reason) == ("refused", "SCOPE_EXCEEDED")


def test_an_event_that_nobody_is_subscribed_to_is_not_kept(desk: Desk) -> None:
    assert desk.offer(post()) == [Accepted("tweet_create_events.1", 0)]
    assert desk.query("SELECT COUNT(*) FROM service_events") == [(0,)]


def test_the_same_event_offered_twice_is_there_once(desk: Desk) -> None:
    desk.subscribe()
    first = desk.offer(post(), post())
    assert first == [Accepted("tweet_create_events.1", 1), Accepted("tweet_create_events.1", 1, True)]
    assert desk.offer(post()) == [Accepted("tweet_create_events.1", 1, True)]
    assert len(desk.parcels()) == 1


def test_the_same_id_with_another_content_is_a_conflict_in_one_call_and_later(desk: Desk) -> None:
    desk.subscribe()
    changed = OfferedEvent({**post().payload, "extra": 1})
    taken, conflict = desk.offer(post(), changed)
    assert isinstance(taken, Accepted)
    assert code_of(conflict) == "conflict"
    assert code_of(desk.offer(changed)[0]) == "conflict"
    assert len(desk.parcels()) == 1


def test_the_same_id_of_two_accounts_is_two_events(desk: Desk) -> None:
    desk.subscribe(ANN)
    desk.subscribe(BEN)
    answers = desk.offer(post(1, ANN), post(1, BEN))
    assert [answer.is_duplicate for answer in answers] == [False, False]
    assert len(desk.parcels()) == 2


def test_the_very_bytes_that_were_handed_in_are_delivered(desk: Desk) -> None:
    desk.subscribe()
    body = json.dumps(post().payload, indent=3, ensure_ascii=False).encode() + b"\n"
    desk.offer(replace(post(), body=body))
    desk.deliver()
    assert [seen.body for seen in desk.network.arrived] == [body]


def test_an_event_handed_in_as_an_object_is_delivered_as_compact_sorted_json(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(post())
    desk.deliver()
    (seen,) = desk.network.arrived
    assert seen.body == json.dumps(post().payload, sort_keys=True, separators=(",", ":")).encode()


def test_neither_ids_nor_bodies_lie_in_the_database_in_clear(desk: Desk) -> None:
    desk.subscribe()
    secret = b"My passport number is QX7T2P"
    payload = {**message().payload, "text": secret.decode(), "users": {"987654321012": {}}}
    desk.offer(OfferedEvent(payload))
    desk.deliver()
    desk.process.close()
    bytes_on_disk = b"".join(path.read_bytes() for path in desk.place.directory.glob("ledger.db*"))
    assert secret not in bytes_on_disk
    assert b"987654321012" not in bytes_on_disk


def test_everybody_who_is_named_is_registered_before_an_entry_names_them(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(post())
    desk.deliver()
    registered: set[str] = set()
    for entry in desk.entries():
        if entry["kind"] == "account.registered":
            registered.add(entry["account"])
        assert registered.issuperset(entry.get("subjects", []))
    (attempted,) = desk.entries("delivery.attempted")
    assert attempted["subjects"] == [desk.tag(STRANGER)]


@pytest.mark.parametrize(("is_kept", "is_private"), [(True, False), (False, True)])
def test_a_deletion_is_as_private_as_the_post_was_as_far_as_that_is_known(
    desk: Desk, is_kept: bool, is_private: bool
) -> None:
    desk.subscribe()
    if is_kept:
        desk.offer(post(7))
    desk.offer(deletion(7))
    rows = desk.query("SELECT is_private FROM service_events WHERE event_type = 'tweet_delete_events'")
    assert rows == [(int(is_private),)]


def test_a_deletion_in_the_same_call_as_a_protected_post_is_private(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(post(7, protected=True), deletion(7))
    assert desk.query("SELECT DISTINCT is_private FROM service_events") == [(1,)]


def test_a_revocation_revokes_first_and_its_news_is_refused_by_the_gate(desk: Desk) -> None:
    desk.subscribe(app="1001")
    kept = desk.subscribe(app="1002")
    assert desk.offer(revocation("1001"))[0].parcels == 1
    (revoked,) = desk.entries("grant.revoked")
    assert revoked["developer"] == "dev-a"
    (note,) = desk.deliver()
    assert note is not None
    assert note.outcome == "refused"
    assert desk.entries("delivery.refused")[0]["reason"] == "DELIVERED_AFTER_REVOCATION"
    assert [one.grant for one in desk.process.registry.load_subscriptions_of(desk.tag())] == [kept.grant]
    desk.check()


def test_after_one_of_two_webhooks_was_unsubscribed_the_log_shows_the_gate_refusing_it(desk: Desk) -> None:
    ended, kept = (desk.subscribe(app="1003", place=place) for place in (0, 1))
    desk.unsubscribe(ended)
    assert desk.offer(post())[0].parcels == 2
    outcomes = {note.webhook: note.outcome for note in desk.deliver() if note is not None}
    assert outcomes == {ended.webhook: "refused", kept.webhook: "delivered"}
    desk.check()


def test_what_is_asked_about_for_an_ended_subscription_is_not_let_go_by_a_new_one(desk: Desk) -> None:
    desk.unsubscribe(desk.subscribe())
    desk.offer(post())
    desk.subscribe()
    (note,) = desk.deliver()
    assert note is not None
    assert note.reason == "DELIVERED_AFTER_REVOCATION"


def test_a_revocation_reaches_a_grant_that_no_subscription_is(desk: Desk) -> None:
    desk.tag()
    recorded = draft(
        "grant.issued",
        "g-recorded",
        grant="g-recorded",
        account=desk.tag(),
        developer="dev-a",
        app="1001",
        environment="prod",
        scopes=["posts"],
    )
    expect(desk.process.sequencer.append(recorded))
    assert desk.offer(revocation("1001"))[0].parcels == 0
    assert [entry["grant"] for entry in desk.entries("grant.revoked")] == ["g-recorded"]
    desk.check()


def told_at(desk: Desk, app: str = "1001", account: str = ANN) -> OfferedEvent:
    """A revocation of this second, as the platform tells of it."""
    told: dict[str, Any] = copy.deepcopy(dict(revocation(app, account).payload))
    at = datetime.fromtimestamp(desk.place.clock.ms // 1_000, UTC)
    told["user_event"]["revoke"]["date_time"] = at.isoformat()
    return OfferedEvent(told)


def test_a_revocation_that_is_told_of_twice_does_not_end_what_was_granted_since(desk: Desk) -> None:
    desk.subscribe()
    told = told_at(desk)
    desk.offer(told)
    desk.wait(60)
    again = desk.subscribe()
    desk.offer(told)
    assert [one["kind"] for one in desk.entries("grant.revoked")] == ["grant.revoked"]
    assert [one.grant for one in desk.process.registry.load_subscriptions_of(desk.tag())] == [again.grant]
    desk.check()


def test_a_revocation_in_the_very_second_of_the_grant_ends_it(desk: Desk) -> None:
    desk.place.clock.ms += 999 - desk.place.clock.ms % 1_000
    desk.subscribe()
    desk.offer(told_at(desk))
    assert len(desk.entries("grant.revoked")) == 1


@pytest.mark.parametrize("date_time", [None, 7, "yesterday", "2017-07-14T02:40:00", "9" * 40])
def test_a_revocation_that_does_not_say_when_is_of_now(desk: Desk, date_time: object) -> None:
    desk.subscribe()
    told: dict[str, Any] = copy.deepcopy(dict(revocation().payload))
    told["user_event"]["revoke"]["date_time"] = date_time
    desk.offer(OfferedEvent(told))
    assert len(desk.entries("grant.revoked")) == 1


def test_revocations_of_one_call_are_waited_for_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in (ANN, BEN):
        desk.subscribe(account)
    slept: list[float] = []
    inflight = InFlight(desk.place.clock, is_alone=False, sleep=slept.append)
    monkeypatch.setattr(desk.process.accesses, "_inflight", inflight)
    desk.offer(revocation(), revocation(account=BEN))
    assert len(desk.entries("grant.revoked")) == 2
    assert slept == [1.0]


def test_a_revocation_that_is_offered_again_after_a_lost_answer_still_leaves_its_news(desk: Desk) -> None:
    desk.subscribe()
    # The registration of nobody new, the revocation, and then the event: the last is lost.
    desk.place.faults.plan(1, "lost")
    with pytest.raises(StoreError):
        desk.offer(revocation())
    assert len(desk.entries("grant.revoked")) == 1
    assert desk.offer(revocation())[0].parcels == 1


def test_what_was_kept_and_reported_as_failed_is_recognised_when_it_is_offered_again(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(post(1))
    desk.place.faults.plan(0, "unreported")
    with pytest.raises(StoreError):
        desk.offer(post(2))
    assert desk.offer(post(2)) == [Accepted("tweet_create_events.2", 1, True)]


@pytest.mark.parametrize("fault", ["lost", "unreported"])
@pytest.mark.parametrize("passing", [0, 1])
def test_whatever_fails_the_same_call_made_again_keeps_the_event_once(
    desk: Desk, fault: Any, passing: int
) -> None:
    desk.subscribe()
    desk.place.faults.plan(passing, fault)
    for _ in range(2):
        try:
            desk.offer(post())
            break
        except StoreError:
            continue
    assert len(desk.parcels()) == 1
    desk.deliver()
    assert desk.states() == ["delivered"]


def test_an_account_that_nobody_knows_is_refused_and_gets_no_tag(desk: Desk) -> None:
    before = desk.query("SELECT COUNT(*) FROM vault_subjects")
    assert code_of(desk.offer(post(account="5551234"))[0]) == "unknown_account"
    assert desk.query("SELECT COUNT(*) FROM vault_subjects") == before


def test_an_event_that_names_an_erased_person_is_refused_and_the_others_go_in(desk: Desk) -> None:
    desk.subscribe()
    desk.process.vault.erase([desk.tag(STRANGER)])
    about_another = OfferedEvent(
        {"for_user_id": ANN, "tweet_create_events": [{"id_str": "2", "user": {"id_str": BEN}}]}
    )
    erased, taken = desk.offer(post(1), about_another)
    assert code_of(erased) == "erased"
    assert taken == Accepted("tweet_create_events.2", 1)


def test_the_body_is_sealed_under_the_accounts_own_key(desk: Desk) -> None:
    from ledger.vault.sealing import VaultSealing

    desk.subscribe()
    desk.offer(post())
    (event, sealed), *_ = desk.query("SELECT event, body_sealed FROM service_events")
    account = desk.process.vault.subjects_behind([desk.tag()])[desk.tag()]
    opened = VaultSealing(OPERATOR_KEY, Stream()).open_for(account, body_context(event), sealed)
    assert json.loads(opened) == post().payload


def test_a_delivery_has_one_id_whoever_makes_it() -> None:
    assert delivery_id("e_1", "2") == delivery_id("e_1", "2")
    assert len({delivery_id("e_1", "2"), delivery_id("e_1", "2", "9"), delivery_id("e_1", "3")}) == 3


def test_whoever_waits_for_events_is_woken(desk: Desk) -> None:
    desk.subscribe()
    assert not desk.process.wake.is_set()
    desk.offer(post())
    assert desk.process.wake.is_set()


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (OfferedEvent({"for_user_id": ANN}), "no_event_key"),
        (OfferedEvent({"for_user_id": ANN, "block_events": [], "mute_events": []}), "no_event_key"),
        (OfferedEvent({"replay_job_status": {"job_id": "1"}}), "no_event_key"),
        (OfferedEvent({"tweet_create_events": [{"id": 1}]}), "no_account"),
        (OfferedEvent({"for_user_id": "-1", "tweet_create_events": [{"id": 1}]}), "no_account"),
        (OfferedEvent({"user_event": {"revoke": {"source": {"user_id": ANN}}}}), "malformed"),
        (replace(post(), event_id="Grüße"), "malformed"),
        (replace(post(), event_id=""), "malformed"),
        (replace(post(), event_id="x" * (EVENT_ID_CHARACTERS_MAX + 1)), "malformed"),
        (replace(post(), body=b"{}"), "not_what_was_parsed"),
        (replace(post(), body=b"{"), "malformed"),
        (replace(post(), body=b"\xff"), "malformed"),
        (replace(post(), body=json.dumps(post().payload).encode() + b" " * BODY_BYTES_MAX), "too_long"),
        (OfferedEvent({**post().payload, "text": "x" * BODY_BYTES_MAX}), "too_long"),
        (OfferedEvent({**post().payload, "text": "\ud800"}), "malformed"),
        (
            OfferedEvent({**message().payload, "users": {str(10**6 + n): {} for n in range(PEOPLE_MAX)}}),
            "too_many_people",
        ),
    ],
)
def test_an_unsound_event_is_refused_with_its_reason(event: OfferedEvent, code: str) -> None:
    assert code_of(read_event(event)) == code


@pytest.mark.parametrize("told", ['"for_user_id":"100","for_user_id":"100"', '"a":{"b":1,"b":1}', '"a":NaN'])
def test_a_body_that_two_readers_could_read_differently_is_refused(told: str) -> None:
    body = json.dumps(post().payload)[:-1].encode() + b"," + told.encode() + b"}"
    payload = json.loads(body)
    assert code_of(read_event(OfferedEvent(payload, body))) == "malformed"


def test_no_reason_repeats_anything_of_the_event() -> None:
    secret = "QX7T2P"
    payload = {"for_user_id": secret, "tweet_create_events": [{"text": secret}]}
    for event in (
        OfferedEvent(payload),
        OfferedEvent(payload, b'{"' + secret.encode()),
        OfferedEvent({secret: 1}),
    ):
        answer = read_event(event)
        assert isinstance(answer, NotAccepted)
        assert secret not in answer.reason
