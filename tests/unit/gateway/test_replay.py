"""Replays: which dates are taken, what is sent again, and how a job ends whatever happens to it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import RejectedError, StoreError
from ledger.gateway import replay
from ledger.gateway.replay import BACK_MS, ReplayRefused, ResendRefused, check_dates, parse_dates
from ledger.ports.outbox import Replay
from tests.simulation.faults import Died
from tests.support.log_world import START_MS
from tests.unit.gateway.delivery_desk import ANN, BEN, Desk, message, open_desk, post

HOUR_MS = 3_600_000
EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "payloads"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        yield opened


def order(desk: Desk, app: str = "1001", back_ms: int = HOUR_MS) -> Replay:
    now_ms = desk.place.clock.ms
    return desk.process.replays.request(desk.app(app), desk.webhook(app), now_ms - back_ms, now_ms)


def sent_once(desk: Desk, *events: Any) -> None:
    """Have ``events`` delivered, one each ten seconds."""
    for event in events:
        desk.offer(event)
        desk.deliver()
        desk.wait(10)


def carry_out(desk: Desk, rounds: int = 20) -> None:
    """Run jobs and deliver what they put in, until none runs."""
    for _ in range(rounds):
        if not desk.process.replays.run_once():
            return
        desk.deliver()
        desk.wait(1)
    raise AssertionError("the job never ended")


def code_of(asking: Callable[[], object]) -> str:
    with pytest.raises(ReplayRefused) as refused:
        asking()
    return str(refused.value.code)


def test_what_was_sent_before_is_sent_again_as_deliveries_of_their_own(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message(1), message(2))
    job = order(desk)
    carry_out(desk)
    bodies = [seen.body for seen in desk.network.arrived]
    assert bodies[:2] == bodies[2:]
    assert [parcel[4] for parcel in desk.parcels()] == [None, None, job.job, job.job]
    assert len({parcel[0] for parcel in desk.parcels()}) == 4
    attempts = desk.entries("delivery.attempted")
    assert [entry.get("replay") for entry in attempts] == [None, None, job.job, job.job]
    desk.check()


def test_the_order_stands_in_the_log_before_anything_is_sent_again(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message())
    job = order(desk)
    carry_out(desk)
    (requested,) = desk.entries("replay.requested")
    again = [entry for entry in desk.entries("delivery.attempted") if "replay" in entry]
    assert requested["seq"] < again[0]["seq"]
    stated = {
        "replay": job.job,
        "endpoint": desk.webhook().webhook,
        "app": "1001",
        "developer": "dev-a",
        "environment": "prod",
        "from_at": job.from_ms,
        "to_at": job.to_ms,
        "actor": "developer:dev-a",
    }
    assert {name: requested[name] for name in stated} == stated


def test_the_oldest_goes_first(desk: Desk) -> None:
    desk.subscribe(ANN)
    desk.subscribe(BEN)
    sent_once(desk, message(1, BEN), message(2, ANN), message(3, BEN), message(4, ANN))
    order(desk)
    carry_out(desk)
    again = [seen.body for seen in desk.network.arrived[4:]]
    assert again == [seen.body for seen in desk.network.arrived[:4]]


def test_only_events_of_the_time_that_was_asked_for_are_sent_again(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message(1), message(2), message(3))
    webhook, app = desk.webhook(), desk.app()
    desk.process.replays.request(app, webhook, START_MS + 10_000, START_MS + 20_000)
    carry_out(desk)
    (again,) = [seen.body for seen in desk.network.arrived[3:]]
    assert json.loads(again)["direct_message_events"][0]["id"] == "2"


def test_an_account_that_revoked_is_not_replayed_and_one_that_came_back_only_from_then_on(desk: Desk) -> None:
    kept = desk.subscribe(BEN)
    ended = desk.subscribe(ANN)
    sent_once(desk, message(1, ANN), message(2, BEN))
    desk.unsubscribe(ended)
    desk.subscribe(ANN)
    sent_once(desk, message(3, ANN))
    order(desk)
    carry_out(desk)
    ids = [json.loads(seen.body)["direct_message_events"][0]["id"] for seen in desk.network.arrived[3:]]
    assert ids == ["2", "3"]
    assert kept.account != ended.account
    desk.check()


def test_a_grant_that_ends_while_a_replay_waits_is_asked_about_when_its_turn_comes(desk: Desk) -> None:
    subscription = desk.subscribe()
    sent_once(desk, message())
    order(desk)
    desk.process.replays.run_once()
    desk.unsubscribe(subscription)
    carry_out(desk)
    assert len(desk.network.arrived) == 1
    assert desk.states() == ["delivered", "refused"]
    assert json.loads(desk.network.told[-1][1])["replay_job_status"]["job_state"] == "Complete"
    desk.check()


def test_a_job_ends_with_a_status_message_to_the_webhook_signed_like_the_others(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message())
    job = order(desk)
    carry_out(desk)
    ((host, body, headers),) = desk.network.told
    told = json.loads(body)
    assert host == "a.example"
    assert told["replay_job_status"]["job_id"] == job.job
    assert told["replay_job_status"]["webhook_id"] == desk.webhook().webhook
    shape = json.loads((EXAMPLES / "replay_job_status.json").read_text())
    assert told.keys() == shape.keys()
    assert told["replay_job_status"].keys() == shape["replay_job_status"].keys()
    for name in ("job_state", "job_state_description"):
        assert told["replay_job_status"][name] == shape["replay_job_status"][name]
    assert "webhook-signature" in headers
    assert "x-ledger-entry" not in headers
    assert [kept.state for kept in desk.process.outbox.load_replays(running=False)] == ["done"]


def test_a_job_with_a_delivery_that_died_is_incomplete(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message())
    order(desk)
    desk.process.replays.run_once()
    for wait_s in (0, 3, 27, 242):
        desk.wait(wait_s)
        desk.fates.append("refuses")
        desk.deliver()
    carry_out(desk)
    assert json.loads(desk.network.told[-1][1])["replay_job_status"]["job_state"] == "Incomplete"
    assert [kept.state for kept in desk.process.outbox.load_replays(running=False)] == ["failed"]


def test_a_status_message_that_is_not_taken_is_sent_again_on_the_schedule(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.subscribe()
    sent_once(desk, message())
    order(desk)
    desk.process.replays.run_once()
    desk.deliver()
    desk.process.replays.run_once()
    tell, tried = desk.place.transport.tell, []

    def refuse(*given: Any) -> Any:
        tried.append(desk.place.clock.ms)
        answer = tell(*given)
        return replace(answer, observed=replace(answer.observed, status=500))

    monkeypatch.setattr(desk.place.transport, "tell", refuse)
    sent_once(desk, message(5))
    order(desk)
    for _ in range(600):
        if not desk.process.replays.run_once():
            break
        desk.deliver()
        desk.wait(1)
    waits = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert [round(wait_ms, -3) for wait_ms in waits] == [3_000, 27_000, 242_000]
    assert len({headers["webhook-id"] for _, _, headers in desk.network.told[-4:]}) == 1
    assert [kept.state for kept in desk.process.outbox.load_replays(running=False)] == ["done", "done"]


def test_a_webhook_has_one_job_at_a_time_and_another_webhook_its_own(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message())
    order(desk)
    assert code_of(lambda: order(desk)) == "355"
    order(desk, "1002")
    carry_out(desk)
    order(desk)


def test_the_webhook_is_challenged_first_and_nothing_is_recorded_when_it_fails(desk: Desk) -> None:
    desk.subscribe()
    desk.network.secrets["a.example"] = "another secret"
    assert code_of(lambda: order(desk)) == "214"
    assert desk.entries("replay.requested") == []
    assert desk.process.outbox.load_replays() == []
    (challenge, *_) = desk.process.registry.load_challenges(desk.webhook().webhook)
    assert (challenge.trigger, challenge.is_passed) == ("replay", False)


def test_a_job_whose_webhook_became_invalid_fails(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, message())
    order(desk)
    invalid = replace(desk.webhook(), is_valid=False)
    desk.process.registry.apply([desk.process.registry.put_webhook(invalid)])
    assert desk.process.replays.run_once() == 0
    assert desk.network.told == []
    assert [kept.state for kept in desk.process.outbox.load_replays(running=False)] == ["failed"]


@pytest.mark.parametrize("page", [1, 2, 500])
def test_a_job_that_is_killed_anywhere_goes_on_and_sends_each_event_once(
    desk: Desk, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PAGE_PARCELS", page)
    desk.subscribe()
    sent_once(desk, *(message(number) for number in range(4)))
    order(desk)
    for passing in range(12):
        desk.place.faults.plan(passing % 3, "dies before" if passing % 2 else "dies after")
        try:
            desk.process.replays.run_once()
            desk.deliver()
        except Died:
            desk.place.faults.clear()
            desk.restart()
        desk.place.faults.clear()
        desk.wait(80)
        desk.deliver()
        desk.wait(3)
    carry_out(desk)
    copies = [parcel for parcel in desk.parcels() if parcel[4] is not None]
    assert [parcel[1] for parcel in copies] == ["delivered"] * 4
    assert len(desk.entries("replay.requested")) == 1
    desk.check()


@pytest.mark.parametrize("fault", ["lost", "unreported", "blind"])
@pytest.mark.parametrize("passing", range(4))
def test_an_order_that_fails_half_way_is_carried_out_or_was_never_taken(
    desk: Desk, fault: Any, passing: int
) -> None:
    desk.subscribe()
    sent_once(desk, message())
    desk.place.faults.plan(passing, fault)
    try:
        order(desk)
    except StoreError:
        desk.place.faults.clear()
    carry_out(desk)
    requested = len(desk.entries("replay.requested"))
    assert len(desk.parcels()) == 1 + requested
    assert len(desk.process.outbox.load_replays(running=False)) == requested
    desk.check()


def test_an_order_that_the_ledger_refuses_leaves_no_job_behind(desk: Desk) -> None:
    unknown = replace(desk.webhook(), webhook="999")
    desk.process.registry.apply([desk.process.registry.put_webhook(unknown)])
    now_ms = desk.place.clock.ms
    with pytest.raises(RejectedError):
        desk.process.replays.request(desk.app(), unknown, now_ms - HOUR_MS, now_ms)
    assert desk.process.outbox.load_replays() == []
    assert desk.process.replays.run_once() == 0


def test_a_job_does_not_flood_the_outbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAGE_PARCELS", 2)
    monkeypatch.setattr(replay, "WAITING_MAX", 4)
    desk.subscribe()
    sent_once(desk, *(message(number) for number in range(8)))
    order(desk)
    for _ in range(6):
        desk.process.replays.run_once()
    assert desk.states().count("waiting") == 4


def test_dates_have_twelve_digits_and_mean_utc() -> None:
    assert parse_dates("197001010000", "197001010001") == (0, 60_000)


@pytest.mark.parametrize(
    ("from_date", "to_date", "code"),
    [
        (None, "201801010000", "357"),
        ("201801010000", "", "357"),
        ("2018-01-01", "201801010000", "358"),
        ("201813010000", "201801010000", "358"),
        ("\u0662018" + "01010000", "201801010000", "358"),
        ("-20180101000", "201801010000", "358"),
    ],
)
def test_dates_that_are_missing_or_malformed_have_their_own_numbers(
    from_date: str | None, to_date: str | None, code: str
) -> None:
    assert code_of(lambda: parse_dates(from_date, to_date)) == code


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "code"),
    [
        (START_MS, START_MS, "356"),
        (START_MS - 1, START_MS - 2, "356"),
        (START_MS - BACK_MS - 60_000, START_MS, "356"),
        (START_MS - 60_000, START_MS + 1, "368"),
        (START_MS, START_MS + 60_000, "368"),
        (-1, START_MS, "360"),
    ],
)
def test_dates_that_make_no_time_within_five_days_have_their_own_numbers(
    from_ms: int, to_ms: int, code: str
) -> None:
    assert code_of(lambda: check_dates(from_ms, to_ms, START_MS)) == code


def test_the_minute_that_began_five_days_ago_still_counts() -> None:
    first_ms = (START_MS - BACK_MS) // 60_000 * 60_000
    check_dates(first_ms, START_MS, START_MS)
    assert code_of(lambda: check_dates(first_ms - 1, START_MS, START_MS)) == "356"


def test_a_delivery_that_ended_is_sent_again_as_its_next_attempt(desk: Desk) -> None:
    desk.subscribe()
    sent_once(desk, post())
    delivery = desk.parcels()[0][0]
    parcel = desk.process.replays.resend(desk.app(), delivery)
    assert (parcel.attempt, parcel.delivery) == (2, delivery)
    (note,) = desk.deliver()
    assert note is not None
    assert (note.attempt, note.outcome) == (2, "delivered")
    desk.check()


def test_what_is_sent_again_asks_the_gate_anew(desk: Desk) -> None:
    subscription = desk.subscribe()
    sent_once(desk, post())
    desk.unsubscribe(subscription)
    desk.process.replays.resend(desk.app(), desk.parcels()[0][0])
    (note,) = desk.deliver()
    assert note is not None
    assert note.outcome == "refused"
    assert len(desk.network.arrived) == 1


def test_a_delivery_of_another_app_under_way_or_gone_is_not_sent_again(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(post(1), post(2))
    desk.deliver()
    waiting = desk.parcels()[0][0]
    desk.offer(post(3))
    under_way = desk.parcels()[2][0]
    for app, delivery, code in (
        ("1002", waiting, "unknown"),
        ("1001", "d-none", "unknown"),
        ("1001", under_way, "under_way"),
    ):
        with pytest.raises(ResendRefused) as refused:
            desk.process.replays.resend(desk.app(app), delivery)
        assert refused.value.code == code
    desk.process.outbox.expire(desk.place.clock.ms + 1, 100)
    with pytest.raises(ResendRefused):
        desk.process.replays.resend(desk.app(), waiting)
