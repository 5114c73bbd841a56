"""Appending: order, idempotency, rejections and the ledger's clock (ledger format, section 1.1)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger.core import canonical
from ledger.errors import ConflictError, ForkError, RejectedError, StoreError
from ledger.sequencer.draft import Appended, Draft, Rejection, expect
from ledger.sequencer.sequencer import SWITCH_INTERVAL_SECONDS
from ledger.store.engine import begin_write, open_engine
from tests.support.log_world import (
    START_MS,
    World,
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


def test_entries_are_numbered_and_linked_in_the_order_of_the_call(world: World) -> None:
    start = world.sequencer.size
    outcomes = world.sequencer.append_many([settlement(f"d-{i}") for i in range(5)])
    assert [expect(outcome).seq for outcome in outcomes] == list(range(start, start + 5))
    check_world(world.directory)


def test_a_call_longer_than_a_batch_is_appended_whole_and_in_order(tmp_path: Path) -> None:
    world = open_world(tmp_path, batch_items_max=7)
    outcomes = world.sequencer.append_many([*opening(), *(settlement(f"d-{i}") for i in range(50))])
    world.close()
    assert [expect(outcome).seq for outcome in outcomes] == list(range(60))
    check_world(tmp_path)


def test_an_empty_call_appends_nothing(world: World) -> None:
    size = world.sequencer.size
    assert world.sequencer.append_many([]) == []
    assert world.sequencer.append_many([], all_or_nothing=True) == []
    assert world.sequencer.size == size


def test_the_same_content_again_is_the_first_entry(world: World) -> None:
    first = expect(world.sequencer.append(settlement("d-1")))
    again = expect(world.sequencer.append(settlement("d-1")))
    assert (first.created, again.created) == (True, False)
    assert (again.seq, again.leaf_hash, again.data) == (first.seq, first.leaf_hash, first.data)


def test_the_same_content_twice_in_one_batch_is_one_entry(world: World) -> None:
    one, two = world.sequencer.append_many([settlement("d-1"), settlement("d-1")])
    assert (expect(one).created, expect(two).created) == (True, False)
    assert expect(one).seq == expect(two).seq


@pytest.mark.parametrize("together", [True, False])
def test_other_content_under_a_taken_uid_is_a_conflict_that_names_the_member(
    world: World, together: bool
) -> None:
    other = Draft({**settlement("d-1").members, "status": 500})
    if together:
        outcome = world.sequencer.append_many([settlement("d-1"), other])[1]
    else:
        world.sequencer.append(settlement("d-1"))
        outcome = world.sequencer.append(other)
    assert isinstance(outcome, Rejection)
    assert (outcome.code, "status" in outcome.reason) == ("conflict", True)
    with pytest.raises(ConflictError):
        expect(outcome)


def test_excluded_members_are_left_out_of_the_comparison(world: World) -> None:
    members = {**settlement("d-1").members, "worker": "w1"}
    world.sequencer.append(Draft(members))
    again = Draft({**members, "worker": "w2"}, compare_exclude=frozenset({"worker"}))
    assert not expect(world.sequencer.append(again)).created


def test_nothing_is_compared_with_an_entry_that_was_edited(world: World) -> None:
    world.sequencer.append(settlement("d-1"))
    world.sequencer.append(settlement("d-2"))
    engine = open_engine(f"sqlite:///{world.directory}/ledger.db")
    with begin_write(engine, "editing") as connection:
        connection.exec_driver_sql("DROP TRIGGER entries_refuse_update")
        connection.exec_driver_sql("UPDATE entries SET data = '{' WHERE uid LIKE '%d-1%'")
    with pytest.raises(ForkError, match="not what was appended"):
        world.sequencer.append(settlement("d-1"))


def test_a_member_of_an_object_can_be_left_out_of_the_comparison(world: World) -> None:
    def observed(host: str, port: int) -> Draft:
        members: dict[str, canonical.JsonValue] = {"observed": {"host": host, "port": port}}
        return Draft({**settlement("d-1").members, **members}, compare_exclude=frozenset({"observed.port"}))

    world.sequencer.append(observed("a", 1))
    again, other = observed("a", 2), observed("b", 1)
    assert not expect(world.sequencer.append(again)).created
    assert isinstance(world.sequencer.append(other), Rejection)


def test_an_at_set_by_the_server_is_recorded_at_and_left_out_of_the_comparison(world: World) -> None:
    members = {name: value for name, value in settlement("d-1").members.items() if name != "at"}
    world.clock.ms += 5
    first = expect(world.sequencer.append(Draft(members)))
    world.clock.ms += 1000
    again = expect(world.sequencer.append(Draft(members)))
    assert canonical.decode(first.data)["at"] == START_MS + 5
    assert (again.created, again.seq) == (False, first.seq)


def test_a_stated_at_is_compared(world: World) -> None:
    world.sequencer.append(settlement("d-1"))
    outcome = world.sequencer.append(Draft({**settlement("d-1").members, "at": START_MS + 1}))
    assert isinstance(outcome, Rejection)
    assert outcome.code == "conflict"


def test_members_that_the_ledger_looks_up_are_left_out_of_the_comparison(world: World) -> None:
    delivery = Draft(settlement("d-1").members, intended_endpoint="wh-a")
    where: dict[str, canonical.JsonValue] = {"sni": "a.example", "path": "/hook", "port": 443}
    seen = {**delivery.members, "observed": where}
    observed = Draft(seen, intended_endpoint="wh-a")
    first = expect(world.sequencer.append(observed))
    assert "received_by" in canonical.decode(first.data)
    assert not expect(world.sequencer.append(observed)).created


def test_a_rejected_item_leaves_its_neighbours_alone(world: World) -> None:
    start = world.sequencer.size
    malformed = Draft({**settlement("d-2").members, "status": "fine"})
    foreign = draft("grant.revoked", "g-0", grant="g-0", account=tag(1), developer="dev-a")
    outcomes = world.sequencer.append_many([settlement("d-1"), malformed, foreign, settlement("d-3")])
    assert [type(outcome) for outcome in outcomes] == [Appended, Rejection, Rejection, Appended]
    assert [expect(outcome).seq for outcome in (outcomes[0], outcomes[3])] == [start, start + 1]
    check_world(world.directory)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"uid": 5},
        {"uid": "x"},
        {"uid": "x", "kind": 7},
        {"uid": "x", "kind": "grant.revoked"},
        {"uid": "x", "kind": "grant.revoked", "grant": ["g-0"], "at": 1},
        {"uid": "x", "kind": "grant.revoked", "grant": "g-0", "at": "now"},
        {"uid": "x", "kind": "delivery.imported", "endpoint": "wh-a", "at": 1},
        {"uid": "x", "kind": "delivery.settled", "observed": "there", "started_at": 1},
        {
            "uid": "x y",
            "kind": "developer.registered",
            "developer": "d",
            "at": 1,
            "actor": "a:b",
            "via": "api",
        },
        {
            "uid": "x",
            "kind": "developer.registered",
            "developer": None,
            "at": 1,
            "actor": "a:b",
            "via": "api",
        },
    ],
)
def test_malformed_drafts_are_rejected_one_by_one(
    world: World, members: dict[str, canonical.JsonValue]
) -> None:
    before, outcome, after = world.sequencer.append_many(
        [settlement("d-1"), Draft(members), settlement("d-2")]
    )
    assert isinstance(outcome, Rejection)
    assert outcome.code in ("malformed", "rejected")
    assert expect(after).seq == expect(before).seq + 1


def test_each_item_is_judged_on_the_state_after_the_one_before_it(world: World) -> None:
    dead = draft("grant.suspended", "g-0", grant="g-0", account=tag(0), developer="dev-a")
    before, ended, after = world.sequencer.append_many(
        [
            Draft({**dead.members, "uid": "grant.suspended/before", "at": START_MS - 1}),
            revocation(0),
            Draft({**dead.members, "uid": "grant.suspended/after"}),
        ]
    )
    assert isinstance(before, Appended)
    assert isinstance(ended, Appended)
    assert isinstance(after, Rejection)
    assert "dead" in after.reason


def test_an_event_on_a_dead_grant_goes_in_from_a_file(world: World) -> None:
    world.sequencer.append(revocation(0))
    late = draft("grant.suspended", "late", grant="g-0", account=tag(0), developer="dev-a")
    outcome = world.sequencer.append(Draft({**late.members, "via": "file"}, live=False))
    assert isinstance(outcome, Appended)


def test_all_or_nothing_leaves_out_everything_when_one_is_rejected(world: World) -> None:
    size = world.sequencer.size
    kept = expect(world.sequencer.append(settlement("d-0")))
    bad = Draft({**settlement("d-2").members, "status": "fine"})
    outcomes = world.sequencer.append_many(
        [settlement("d-0"), grant(0, "h-0"), settlement("d-1"), bad, settlement("d-1")], all_or_nothing=True
    )
    codes = [outcome.code if isinstance(outcome, Rejection) else outcome.seq for outcome in outcomes]
    assert codes == [kept.seq, "withdrawn", "withdrawn", "malformed", "withdrawn"]
    assert world.store.size() == size + 1
    again = world.sequencer.append(
        draft("grant.suspended", "x", grant="h-0", account=tag(0), developer="dev-a")
    )
    assert isinstance(again, Rejection), "the withdrawn grant is not known"
    check_world(world.directory)


def test_all_or_nothing_is_one_transaction_beyond_the_bound_of_a_batch(tmp_path: Path) -> None:
    world = open_world(tmp_path, batch_items_max=5)
    outcomes = world.sequencer.append_many(
        [*opening(), *(settlement(f"d-{i}") for i in range(30))], all_or_nothing=True
    )
    world.close()
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    check_world(tmp_path)


def test_recorded_at_never_decreases_when_the_clock_goes_back(world: World) -> None:
    world.clock.ms = START_MS + 5000
    first = expect(world.sequencer.append(settlement("d-1")))
    world.clock.ms = START_MS
    second = expect(world.sequencer.append(settlement("d-2")))
    recorded = [canonical.decode(appended.data)["recorded_at"] for appended in (first, second)]
    assert recorded == [START_MS + 5000, START_MS + 5000]


def test_recorded_at_never_decreases_across_a_restart(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.clock.ms = START_MS + 5000
    world.sequencer.append_many(opening())
    world.close()
    world = open_world(tmp_path)
    world.sequencer.append(settlement("d-1"))
    world.close()
    assert check_world(tmp_path)[-1]["recorded_at"] == START_MS + 5000


def test_the_state_is_the_same_after_a_restart(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many([*opening(), revocation(1)])
    world.close()
    world = open_world(tmp_path)
    amended = [
        draft("grant.amended", f"g-{number}", grant=f"g-{number}", account=tag(number), scopes=["likes"])
        for number in (0, 1)
    ]
    outcomes = world.sequencer.append_many(amended)
    world.close()
    assert [type(outcome) for outcome in outcomes] == [Appended, Rejection]


def test_64_threads_get_each_their_own_entry_and_the_log_stays_whole(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.sequencer.append_many(opening())
    acknowledged: dict[str, str] = {}
    lock = threading.Lock()

    def work(number: int) -> None:
        for count in range(20):
            item = settlement(f"d-{number}-{count}", number % 3)
            appended = expect(world.sequencer.append(item))
            with lock:
                acknowledged[str(item.members["uid"])] = appended.leaf_hash.hex()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.close()
    assert len(acknowledged) == 64 * 20
    assert len(check_world(tmp_path, acknowledged)) == len(opening()) + 64 * 20


def test_64_threads_with_the_same_entry_create_it_once(world: World) -> None:
    outcomes: list[Appended] = []
    start = threading.Barrier(64)

    def work() -> None:
        start.wait()
        outcomes.append(expect(world.sequencer.append(settlement("d-1"))))

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.created for outcome in outcomes) == 1
    assert len({outcome.seq for outcome in outcomes}) == 1


def test_a_cancelled_call_is_dropped_or_answered_and_the_writer_goes_on(world: World) -> None:
    calls = [world.sequencer.submit([settlement(f"d-{i}")]) for i in range(200)]
    for call in calls[::2]:
        call.cancel()
    assert all(isinstance(call.result()[0], Appended) for call in calls if not call.cancelled())
    assert isinstance(world.sequencer.append(settlement("last")), Appended)


def test_closing_finishes_what_was_handed_over(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    calls = [world.sequencer.submit([item]) for item in opening()]
    world.sequencer.close()
    assert all(isinstance(call.result()[0], Appended) for call in calls)
    with pytest.raises(StoreError, match="closed"):
        world.sequencer.append(settlement("d-1"))
    world.close()


def test_expecting_a_rejected_entry_raises_its_reason() -> None:
    with pytest.raises(RejectedError, match="no such thing"):
        expect(Rejection("no such thing"))


@pytest.mark.parametrize("before_seconds", [0.005, SWITCH_INTERVAL_SECONDS / 2])
def test_threads_that_compute_keep_the_interpreter_no_longer_than_committing_can_wait(
    tmp_path: Path, before_seconds: float
) -> None:
    found_seconds = sys.getswitchinterval()
    try:
        sys.setswitchinterval(before_seconds)
        open_world(tmp_path).close()
        left_seconds = sys.getswitchinterval()
    finally:
        sys.setswitchinterval(found_seconds)
    assert left_seconds == pytest.approx(min(before_seconds, SWITCH_INTERVAL_SECONDS))


def test_the_log_says_where_a_fault_was_and_nothing_of_what_it_was_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(uids: object) -> None:
        raise ValueError("invalid text: 783214 hunter2")

    monkeypatch.setattr(world.store, "fetch_by_uids", fail)
    with capture_logs() as told, pytest.raises(ValueError, match="hunter2"):
        world.sequencer.append(draft("developer.registered", "dev-odd", developer="dev-odd"))
    (line,) = [one for one in told if one["event"] == "sequencer.failed"]
    assert line["error"].startswith("ValueError at ")
    assert "hunter2" not in str(told)
