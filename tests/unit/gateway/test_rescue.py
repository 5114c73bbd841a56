"""Attempts whose end nobody told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.canonical import JsonValue
from ledger.errors import StoreError
from ledger.gateway import rescue
from ledger.gateway.rescue import find_open_attempts
from ledger.sequencer.draft import AttemptDraft
from tests.simulation.faults import Died
from tests.unit.gateway.delivery_desk import Desk, message, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        yield opened


def leave_open(desk: Desk) -> str:
    """Die with an attempt under way; its delivery."""
    desk.subscribe()
    desk.offer(message())
    desk.fates.append("dies after")
    with pytest.raises(Died):
        desk.deliver()
    desk.restart()
    return str(desk.parcels()[0][0])


def test_an_attempt_of_a_process_that_died_is_settled_as_possible_after_a_minute(desk: Desk) -> None:
    leave_open(desk)
    desk.wait(59.9)
    assert desk.process.rescuer.run_once() == 0
    desk.wait(0.2)
    assert desk.process.rescuer.run_once() == 1
    attempted, settled = desk.entries("delivery.attempted", "delivery.settled")
    assert settled["by"] == "rescuer"
    assert settled["disclosure"] == "possible"
    assert settled["started_at"] == attempted["recorded_at"]
    assert "observed" not in settled
    assert "status" not in settled
    desk.check()


def test_the_parcel_goes_on_as_a_new_attempt(desk: Desk) -> None:
    leave_open(desk)
    desk.wait(60)
    desk.process.rescuer.run_once()
    (note,) = desk.deliver()
    assert note is not None
    assert (note.attempt, note.outcome) == (2, "delivered")
    assert [seen.permit.attempt for seen in desk.network.arrived] == [1, 2]
    desk.check()


def test_after_the_last_attempt_of_the_schedule_the_parcel_is_dead(desk: Desk) -> None:
    delivery = leave_open(desk)
    for _ in range(3):
        desk.wait(75)
        desk.process.rescuer.run_once()
        desk.wait(250)
        desk.fates.append("dies before")
        with pytest.raises(Died):
            desk.deliver()
        desk.restart()
    desk.wait(75)
    desk.process.rescuer.run_once()
    assert desk.parcels()[0][:3] == (delivery, "dead", 4)
    desk.check()


def test_nobody_waits_for_a_clock_that_went_back_to_catch_up(desk: Desk) -> None:
    leave_open(desk)
    desk.wait(-7_200)
    assert desk.process.rescuer.run_once() == 0
    desk.wait(60)
    assert desk.process.rescuer.run_once() == 1
    desk.check()


def test_a_dispatcher_that_finds_an_open_attempt_does_not_wait_for_such_a_clock_either(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    leased = desk.claim()
    desk.fates.append("dies after")
    with pytest.raises(Died):
        desk.process.dispatcher.step(leased[0])
    desk.restart()
    desk.wait(-7_200)
    assert desk.process.dispatcher.step(leased[0]) is None
    desk.wait(60)
    assert desk.process.dispatcher.step(leased[0]) is not None
    assert len(desk.entries("delivery.settled")) == 1


def test_the_developer_sees_that_nobody_knows_how_it_ended(desk: Desk) -> None:
    leave_open(desk)
    desk.wait(60)
    desk.process.rescuer.run_once()
    (note,) = desk.process.outbox.load_notes("1001")
    assert note.outcome == "unknown"
    assert note.seq == desk.entries("delivery.attempted")[0]["seq"]
    assert [told.outcome for told in desk.place.notes] == ["unknown"]


def test_what_has_been_settled_meanwhile_is_left_alone(desk: Desk) -> None:
    leave_open(desk)
    assert desk.process.rescuer.run_once() == 0
    desk.wait(75)
    desk.deliver()
    assert len(desk.entries("delivery.settled")) == 1
    assert desk.process.rescuer.run_once() == 0
    assert len(desk.entries("delivery.settled")) == 1


def test_what_this_process_is_at_work_on_is_left_alone(desk: Desk) -> None:
    desk.subscribe()
    desk.offer(message())
    rescued: list[int] = []

    def look(permit: object) -> None:
        desk.wait(0.5)
        desk.place.clock.ms += 120_000
        rescued.append(desk.process.rescuer.run_once())
        desk.place.clock.ms -= 120_000

    desk.network.meanwhile = look
    desk.deliver()
    assert rescued == [0]
    assert [entry["by"] for entry in desk.entries("delivery.settled")] == ["transport"]


def test_what_another_system_was_authorized_to_send_is_for_that_system_to_settle(desk: Desk) -> None:
    subscription = desk.subscribe()
    webhook = desk.webhook()
    members: dict[str, JsonValue] = {
        "delivery": "theirs",
        "attempt": 1,
        "event": "e_" + "0" * 32,
        "event_type": "direct_message_events",
        "private": True,
        "channel": "push",
        "account": subscription.account,
        "subjects": [],
        "developer": "dev-a",
        "app": "1001",
        "environment": "prod",
        "endpoint": webhook.webhook,
        "payload": "0" * 64,
        "body_bytes": 256,
        "actor": "platform:k1",
        "via": "api",
    }
    desk.process.sequencer.request(AttemptDraft(members))
    desk.wait(600)
    assert desk.process.rescuer.run_once() == 0
    assert find_open_attempts(desk.process.real_store) == {}


def test_the_look_back_goes_on_through_pages_until_it_is_far_enough(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescue, "PAGE_ENTRIES", 3)
    delivery = leave_open(desk)
    for number in range(10, 20):
        desk.offer(message(number))
    desk.deliver()
    assert {key[0] for key in find_open_attempts(desk.process.real_store)} == {delivery}
    desk.wait(rescue.LOOK_BACK_MS / 1_000 + 1)
    for number in range(20, 26):
        desk.offer(message(number))
    desk.process.dispatcher._delivering._in_hand.add(delivery)
    for _ in range(4):
        desk.deliver()
    assert find_open_attempts(desk.process.real_store) == {}


@pytest.mark.parametrize("fault", ["lost", "unreported", "blind"])
def test_a_rescue_that_fails_is_made_again_by_the_next_run(desk: Desk, fault: str) -> None:
    leave_open(desk)
    desk.wait(60)
    desk.place.faults.plan(0, fault)  # type: ignore[arg-type]
    for _ in range(3):
        try:
            desk.process.rescuer.run_once()
        except StoreError:
            continue
    assert len(desk.entries("delivery.settled")) == 1
    assert desk.parcels()[0][2] == 2
    desk.check()
