"""What every Outbox must do, whatever database it lies on, but for claiming: subclass and give ``url``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from sqlalchemy import Engine

from ledger.errors import RejectedError, StoreError
from ledger.ports import Change
from ledger.ports.outbox import HeldEvent, Outbox, Parcel, ParcelState
from ledger.ports.registry import Registry
from ledger.store import notes as note_queries
from ledger.store import outbox as queries
from ledger.store.outbox import EXPIRED_KEPT_MS, SqlOutbox
from ledger.store.registry import SqlRegistry
from tests.conformance.database_suite import DatabaseSuite
from tests.conformance.service_samples import (
    DAY_MS,
    KINDS,
    NOW_MS,
    WORDS,
    Kind,
    at_once,
    digits,
    event_tag,
    failing_commit,
    held,
    is_sorted_by_index,
    note,
    parcel,
    replay,
    scanned,
    subscription,
    tag,
    webhook,
)


class OutboxWorld(DatabaseSuite):
    """An outbox on the database at ``url``, whose tables are made, and the registry beside it."""

    @pytest.fixture
    def outbox(self, engine: Engine) -> Outbox:
        return SqlOutbox(engine)

    @pytest.fixture
    def registry(self, engine: Engine) -> Registry:
        """The webhooks 1 to 3, valid."""
        made = SqlRegistry(engine)
        made.apply([made.put_webhook(webhook(name)) for name in "123"])
        return made


class OutboxSuite(OutboxWorld):
    """The properties of the port."""

    def settle(self, outbox: Outbox, registry: Registry, *parcels: Parcel, state: ParcelState) -> None:
        registry.apply([outbox.end(one.delivery, one.attempt, state) for one in parcels])

    def test_a_new_outbox_is_empty(self, outbox: Outbox) -> None:
        assert outbox.load_parcel("d-1") is None
        assert outbox.count_waiting(NOW_MS) == (0, 0)
        assert outbox.load_notes("100") == []
        assert outbox.load_replays() == []
        assert outbox.put([], []) == {}

    def test_an_event_and_its_parcels_are_read_back_whole(self, outbox: Outbox) -> None:
        event = held(subjects=(), body_sealed=bytes(range(256)) * 8, is_private=False)
        bare = parcel(event, subscription=None, replay="900", attempt=3, due_at_ms=NOW_MS + 5)
        full = parcel(event, "2")
        assert outbox.put([event], [bare, full]) == {}
        assert outbox.load_events(tag("ann"), 0, NOW_MS + 1, (0, ""), 10) == [event]
        assert outbox.load_parcel(bare.delivery) == (bare, "waiting")
        assert outbox.load_parcel(full.delivery) == (full, "waiting")

    def test_a_thousand_events_go_in_at_once(self, outbox: Outbox) -> None:
        events = [held(str(n)) for n in range(1_000)]
        parcels = [parcel(event, target) for event in events for target in "12"]
        assert outbox.put(events, parcels) == {}
        assert outbox.count_waiting(NOW_MS + 7) == (2_000, 7)
        assert outbox.put(events, parcels) == {event.event: "same" for event in events}
        assert outbox.count_waiting(NOW_MS)[0] == 2_000

    def test_the_same_event_sealed_anew_is_the_same_and_stays_as_it_was(self, outbox: Outbox) -> None:
        event = held()
        outbox.put([event], [])
        again = replace(event, body_sealed=b"sealed anew", received_at_ms=NOW_MS + 9)
        assert outbox.put([again], [parcel(event)]) == {event.event: "same"}
        assert outbox.load_events(tag("ann"), 0, NOW_MS + 99, (0, ""), 10) == [event]
        assert outbox.load_parcel(parcel(event).delivery) is not None

    @pytest.mark.parametrize(
        "changed", [{"content": b"c" * 32}, {"event_type": "favorite_events"}, {"subjects": (tag("bob"),)}]
    )
    def test_another_event_of_the_same_id_is_a_conflict_and_nothing_of_it_is_added(
        self, outbox: Outbox, changed: dict[str, Any]
    ) -> None:
        first, fresh = held(), held("2")
        outbox.put([first], [parcel(first)])
        twin = replace(first, **changed)
        told = outbox.put([twin, fresh], [parcel(twin, "2"), parcel(fresh)])
        assert told == {first.event: "conflict"}
        assert outbox.load_parcel(parcel(first, "2").delivery) is None
        assert outbox.load_parcel(parcel(fresh).delivery) is not None
        assert outbox.load_events(tag("ann"), 0, NOW_MS + 1, (0, ""), 10) == sorted(
            [first, fresh], key=lambda one: one.event
        )

    def test_two_events_of_one_call_that_differ_are_a_conflict_and_neither_is_added(
        self, outbox: Outbox
    ) -> None:
        first, fresh = held(), held("2")
        twin = replace(first, content=b"c" * 32)
        assert outbox.put([first, twin, fresh, fresh], [parcel(first)]) == {first.event: "conflict"}
        assert outbox.load_events(tag("ann"), 0, NOW_MS + 1, (0, ""), 10) == [fresh]
        assert outbox.load_parcel(parcel(first).delivery) is None

    def test_the_same_id_of_another_account_is_another_event(self, outbox: Outbox) -> None:
        first, others = held(), held("1", "bob", content=b"c" * 32)
        assert outbox.put([first, others], []) == {}
        assert outbox.load_events(tag("bob"), 0, NOW_MS + 1, (0, ""), 10) == [others]

    def test_parcels_of_an_event_that_is_kept_are_added_and_of_one_that_has_gone_are_not(
        self, outbox: Outbox
    ) -> None:
        kept, gone = held(), held("2")
        outbox.put([kept], [])
        outbox.put([], [parcel(kept, replay="900"), parcel(gone, replay="900")])
        assert outbox.load_parcel(parcel(kept).delivery) is not None
        assert outbox.load_parcel(parcel(gone).delivery) is None

    def test_a_value_that_no_table_keeps_is_refused(self, outbox: Outbox) -> None:
        with pytest.raises(RejectedError, match="event_type"):
            outbox.put([held(event_type="\0")], [])
        with pytest.raises(RejectedError, match="delivery"):
            outbox.put([held()], [parcel(held(), delivery="d" * 65)])
        with pytest.raises(RejectedError, match="reason"):
            outbox.note(note(reason="\ud800"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_put_that_failed_can_be_made_again(self, outbox: Outbox, engine: Engine, kind: Kind) -> None:
        events = [held(str(n)) for n in range(20)]
        parcels = [parcel(event) for event in events]
        with failing_commit(engine, kind), pytest.raises(StoreError):
            outbox.put(events, parcels)
        assert outbox.count_waiting(NOW_MS)[0] == (20 if kind == "after" else 0)
        told = outbox.put(events, parcels)
        assert told == ({event.event: "same" for event in events} if kind == "after" else {})
        assert outbox.count_waiting(NOW_MS)[0] == 20

    def test_events_that_are_put_at_once_are_there_once_and_everybody_is_told(self, outbox: Outbox) -> None:
        events = [held(str(n)) for n in range(120)]
        others = [replace(event, content=b"c" * 32) for event in events[:20]]
        offers = [events, events[::-1], events[40:], events[:60], others] * 2
        told = at_once(
            *[lambda some=some: outbox.put(some, [parcel(event) for event in some]) for some in offers]
        )
        assert not any(isinstance(one, Exception) for one in told)
        assert outbox.count_waiting(NOW_MS)[0] == 120
        for event in events:
            said = [
                (one.get(event.event, "new"), {same.event: same.content for same in some}[event.event])
                for some, one in zip(offers, told, strict=True)
                if event.event in {same.event for same in some}
            ]
            ((_, kept),) = [(word, content) for word, content in said if word == "new"]
            assert all(word != "conflict" for word, content in said if content == kept)
            assert all(word == "conflict" for word, content in said if content != kept)

    def test_a_parcel_that_ended_is_as_it_was_ended(self, outbox: Outbox, registry: Registry) -> None:
        events = [held(str(n)) for n in range(4)]
        outbox.put(events, [parcel(event) for event in events])
        states: list[Literal["delivered", "refused", "dead", "expired"]] = [
            "delivered",
            "refused",
            "dead",
            "expired",
        ]
        registry.apply(
            [
                outbox.end(parcel(event).delivery, 1, state)
                for event, state in zip(events, states, strict=True)
            ]
        )
        for event, state in zip(events, states, strict=True):
            assert outbox.load_parcel(parcel(event).delivery) == (parcel(event), state)
        assert outbox.count_waiting(NOW_MS) == (0, 0)

    def test_a_retry_is_the_next_attempt_at_its_time(self, outbox: Outbox, registry: Registry) -> None:
        event = held()
        outbox.put([event], [parcel(event)])
        registry.apply([outbox.retry(parcel(event).delivery, 1, NOW_MS + 3_000)])
        later = parcel(event, attempt=2, due_at_ms=NOW_MS + 3_000)
        assert outbox.load_parcel(later.delivery) == (later, "waiting")

    def test_what_has_gone_on_is_neither_ended_nor_retried_by_who_comes_late(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        event = held()
        delivery = parcel(event).delivery
        outbox.put([event], [parcel(event)])
        registry.apply([outbox.retry(delivery, 1, NOW_MS + 3)])
        registry.apply([outbox.end(delivery, 1, "dead"), outbox.retry(delivery, 1, NOW_MS + 9)])
        assert outbox.load_parcel(delivery) == (parcel(event, attempt=2, due_at_ms=NOW_MS + 3), "waiting")
        registry.apply([outbox.end(delivery, 2, "delivered")])
        registry.apply([outbox.end(delivery, 2, "dead"), outbox.retry(delivery, 2, NOW_MS + 9)])
        assert outbox.load_parcel(delivery) == (parcel(event, attempt=2, due_at_ms=NOW_MS + 3), "delivered")

    @pytest.mark.parametrize("kind", KINDS)
    def test_changes_of_parcels_that_failed_can_be_made_again(
        self, outbox: Outbox, registry: Registry, engine: Engine, kind: Kind
    ) -> None:
        events = [held(str(n)) for n in range(2)]
        outbox.put(events, [parcel(event) for event in events])
        changes: list[Change] = [
            outbox.end(parcel(events[0]).delivery, 1, "delivered"),
            outbox.note(note(parcel(events[0]).delivery)),
            outbox.retry(parcel(events[1]).delivery, 1, NOW_MS + 3),
        ]
        with failing_commit(engine, kind), pytest.raises(StoreError):
            registry.apply(changes)
        registry.apply(changes)
        assert outbox.load_parcel(parcel(events[0]).delivery) == (parcel(events[0]), "delivered")
        waiting = parcel(events[1], attempt=2, due_at_ms=NOW_MS + 3)
        assert outbox.load_parcel(waiting.delivery) == (waiting, "waiting")
        assert len(outbox.load_notes("100")) == 1

    @pytest.mark.parametrize("state", ["dead", "refused", "delivered"])
    def test_what_ended_waits_again_with_the_next_attempt_once(
        self, outbox: Outbox, registry: Registry, state: Any
    ) -> None:
        event = held()
        outbox.put([event], [parcel(event)])
        self.settle(outbox, registry, parcel(event), state=state)
        again = parcel(event, attempt=2, due_at_ms=NOW_MS + 7)
        assert outbox.again(again.delivery, NOW_MS + 7) == again
        assert outbox.again(again.delivery, NOW_MS + 9) == again
        assert outbox.load_parcel(again.delivery) == (again, "waiting")

    @pytest.mark.parametrize("kind", KINDS)
    def test_waiting_again_that_failed_can_be_asked_for_again(
        self, outbox: Outbox, registry: Registry, engine: Engine, kind: Kind
    ) -> None:
        event = held()
        outbox.put([event], [parcel(event)])
        self.settle(outbox, registry, parcel(event), state="dead")
        with failing_commit(engine, kind), pytest.raises(StoreError):
            outbox.again(parcel(event).delivery, NOW_MS)
        assert outbox.again(parcel(event).delivery, NOW_MS) == parcel(event, attempt=2)

    def test_what_is_gone_does_not_wait_again(self, outbox: Outbox, registry: Registry) -> None:
        event = held()
        outbox.put([event], [parcel(event)])
        outbox.expire(NOW_MS + 1, 10)
        assert outbox.load_parcel(parcel(event).delivery) == (parcel(event), "expired")
        for delivery in (parcel(event).delivery, "d-unknown", "\0", "\ud800"):
            assert outbox.again(delivery, NOW_MS) is None
        assert outbox.load_parcel("\0") is None

    def test_events_come_oldest_first_in_pages_of_a_time(self, outbox: Outbox) -> None:
        events = [held(str(n), received_at_ms=NOW_MS + n // 3) for n in range(20)]
        outbox.put([*events, held("x", "bob")], [])
        expected = sorted(events, key=lambda one: (one.received_at_ms, one.event))
        expected = [one for one in expected if NOW_MS + 1 <= one.received_at_ms < NOW_MS + 5]
        found: list[HeldEvent] = []
        place = (0, "")
        while page := outbox.load_events(tag("ann"), NOW_MS + 1, NOW_MS + 5, place, 5):
            found += page
            place = (page[-1].received_at_ms, page[-1].event)
        assert found == expected
        assert len(outbox.load_events(tag("ann"), -(2**70), 2**70, (0, ""), 2**70)) == 20

    def test_privacy_is_told_of_what_is_kept(self, outbox: Outbox) -> None:
        outbox.put([held("1"), held("2", is_private=False), held("3", "bob")], [])
        asked = [(tag("ann"), event_tag(name)) for name in "1239"] + [("\0", "\ud800")]
        assert outbox.load_privacy(asked) == {event_tag("1"): True, event_tag("2"): False}
        assert outbox.load_privacy([]) == {}

    def test_what_was_sent_comes_in_pages_where_it_may_be_sent_again(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        live, ended = subscription("s-1"), subscription("s-2", account=tag("bob"))
        registry.apply([registry.put_subscription(one) for one in (live, ended)])
        registry.apply([registry.end_subscription("s-2", NOW_MS)])
        events = [held(str(n)) for n in range(9)]
        made = [parcel(event, created_at_ms=NOW_MS + n // 2) for n, event in enumerate(events)]
        left_out = [
            parcel(events[0], "2"),
            parcel(events[1], delivery="d-copy", replay="900"),
            parcel(events[2], delivery="d-ended", subscription="s-2"),
            parcel(events[3], delivery="d-none", subscription=None),
            parcel(events[4], delivery="d-late", created_at_ms=NOW_MS + DAY_MS),
        ]
        gone = held("gone", received_at_ms=NOW_MS - DAY_MS)
        outbox.put([*events, gone], [*made, *left_out, parcel(gone)])
        outbox.expire(NOW_MS, 10)
        self.settle(outbox, registry, *made[:4], state="delivered")
        expected = sorted(made, key=lambda one: (one.created_at_ms, one.delivery))
        first = outbox.load_sent("1", NOW_MS, NOW_MS + 100, (0, ""), 4)
        place = (first[-1].created_at_ms, first[-1].delivery)
        assert [*first, *outbox.load_sent("1", NOW_MS, NOW_MS + 100, place, 100)] == expected

    def test_parcels_of_a_replay_are_counted_by_their_state(self, outbox: Outbox, registry: Registry) -> None:
        events = [held(str(n)) for n in range(5)]
        copies = [parcel(event, replay="900") for event in events]
        outbox.put(events, [*copies, parcel(events[0], "2", replay="901"), parcel(events[0], "3")])
        self.settle(outbox, registry, *copies[:2], state="delivered")
        self.settle(outbox, registry, copies[2], state="dead")
        assert outbox.count_parcels("900") == {"waiting": 2, "delivered": 2, "dead": 1}
        assert outbox.count_parcels("\0") == {}

    def test_waiting_is_counted_with_how_long_the_longest_due_has_been(self, outbox: Outbox) -> None:
        events = [held(str(n)) for n in range(3)]
        outbox.put(events, [parcel(event, due_at_ms=NOW_MS + n) for n, event in enumerate(events)])
        assert outbox.count_waiting(NOW_MS - 5) == (3, 0)
        assert outbox.count_waiting(NOW_MS + 50) == (3, 50)

    def test_old_events_go_with_what_has_ended_and_what_waits_has_expired(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        old = [held(str(n), received_at_ms=NOW_MS - n) for n in range(1, 4)]
        young = held("young")
        outbox.put([*old, young], [parcel(event) for event in [*old, young]])
        self.settle(outbox, registry, parcel(old[0]), state="delivered")
        assert outbox.expire(NOW_MS, 2) == 2
        assert outbox.load_events(tag("ann"), 0, NOW_MS + 1, (0, ""), 10) == [old[0], young]
        assert outbox.expire(NOW_MS, 2) == 1
        assert outbox.expire(NOW_MS, 2) == 0
        assert outbox.load_parcel(parcel(old[0]).delivery) is None
        assert outbox.load_parcel(parcel(old[1]).delivery) == (parcel(old[1]), "expired")
        assert outbox.load_parcel(parcel(young).delivery) == (parcel(young), "waiting")

    def test_expired_parcels_are_remembered_for_some_days(self, outbox: Outbox) -> None:
        old = held("old")
        outbox.put([old], [parcel(old)])
        outbox.expire(NOW_MS + 1, 10)
        outbox.expire(NOW_MS + EXPIRED_KEPT_MS, 10)
        assert outbox.load_parcel(parcel(old).delivery) is not None
        outbox.expire(NOW_MS + EXPIRED_KEPT_MS + 1, 10)
        assert outbox.load_parcel(parcel(old).delivery) is None

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_expiry_that_failed_can_be_repeated(self, outbox: Outbox, engine: Engine, kind: Kind) -> None:
        old = held("old")
        outbox.put([old], [parcel(old)])
        with failing_commit(engine, kind), pytest.raises(StoreError):
            outbox.expire(NOW_MS + 1, 10)
        assert outbox.expire(NOW_MS + 1, 10) == (kind == "before")
        assert outbox.load_parcel(parcel(old).delivery) == (parcel(old), "expired")

    def test_a_note_is_read_back_whole_and_kept_once(self, outbox: Outbox, registry: Registry) -> None:
        full = note("d-1", reason=WORDS, outcome="failed", replay="900")
        bare = note("d-2", status=None, duration_ms=None, reason=None, seq=None, outcome="refused")
        registry.apply([outbox.note(full), outbox.note(bare), outbox.note(full)])
        registry.apply([outbox.note(replace(full, outcome="delivered", status=200))])
        assert sorted(outbox.load_notes("100"), key=lambda one: one.delivery) == [full, bare]

    def test_an_unknown_outcome_gives_way_to_a_known_one_and_never_the_other_way(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        unknown, known = note(outcome="unknown", status=None, seq=18), note(seq=19)
        registry.apply([outbox.note(unknown)])
        assert outbox.load_notes("100") == [unknown]
        registry.apply([outbox.note(known)])
        registry.apply([outbox.note(unknown), outbox.note(replace(known, outcome="failed"))])
        assert outbox.load_notes("100") == [known]

    def test_notes_come_newest_first_and_those_that_fit(self, outbox: Outbox, registry: Registry) -> None:
        outcomes = ["delivered", "failed", "refused", "unknown"]
        made = [
            note(
                f"d-{digits(str(n))}",
                1 + n % 2,
                at_ms=NOW_MS + n // 3,
                webhook=str(n % 3),
                outcome=outcomes[n % 4],
                event_type="favorite_events" if n % 5 == 0 else "tweet_create_events",
            )
            for n in range(60)
        ]
        registry.apply([outbox.note(one) for one in [*made, note("d-other", app="200")]])
        made.sort(key=lambda one: (one.at_ms, one.delivery, one.attempt), reverse=True)
        for asked in (
            {},
            {"webhook": "1"},
            {"outcome": "failed"},
            {"outcome": "delivered", "event_type": "favorite_events"},
            {"delivery": made[7].delivery},
            {"webhook": "2", "outcome": "unknown", "event_type": "tweet_create_events"},
        ):
            expected = [
                one for one in made if all(getattr(one, key) == value for key, value in asked.items())
            ]
            assert outbox.load_notes("100", **asked) == expected  # type: ignore[arg-type]
        last = made[19]
        place = (last.at_ms, last.delivery, last.attempt)
        assert outbox.load_notes("100", before=place, count_max=15) == made[20:35]
        within = [one for one in made if NOW_MS + 3 <= one.at_ms < NOW_MS + 6]
        assert outbox.load_notes("100", from_ms=NOW_MS + 3, to_ms=NOW_MS + 6) == within
        assert outbox.load_notes("100", webhook="\0") == []

    def test_old_notes_go_the_oldest_first(self, outbox: Outbox, registry: Registry) -> None:
        made = [note(f"d-{n}", at_ms=NOW_MS + n) for n in range(6)]
        registry.apply([outbox.note(one) for one in made])
        assert outbox.expire_notes(NOW_MS + 4, 3) == 3
        assert outbox.load_notes("100") == [made[5], made[4], made[3]]
        assert outbox.expire_notes(NOW_MS + 4, 3) == 1
        assert outbox.expire_notes(NOW_MS + 4, 3) == 0

    def test_a_webhook_has_one_replay_running_of_any_that_race(self, outbox: Outbox) -> None:
        made = [replay(str(900 + n)) for n in range(8)]
        started = at_once(*[lambda one=one: outbox.start_replay(one) for one in made])
        assert sorted(started) == [False] * 7 + [True]
        first = made[started.index(True)]
        assert outbox.load_replays() == [first]
        assert outbox.start_replay(first)
        assert outbox.start_replay(replay("990", webhook="2"))
        outbox.save_replay(replace(first, state="done", ended_at_ms=NOW_MS + 9))
        assert not outbox.start_replay(first)
        assert outbox.start_replay(replay("991"))

    def test_a_replay_goes_on_until_it_has_ended(self, outbox: Outbox) -> None:
        job = replay(created_at_ms=NOW_MS + 5)
        outbox.start_replay(job)
        outbox.start_replay(replay("901", webhook="2"))
        onward = replace(job, through="17 e_x", sent=100)
        outbox.save_replay(onward)
        assert outbox.load_replays(webhook="1") == [onward]
        done = replace(onward, state="failed", sent=120, ended_at_ms=NOW_MS + 9)
        outbox.save_replay(done)
        outbox.save_replay(onward)
        assert outbox.load_replays(webhook="1") == []
        assert outbox.load_replays(running=False, webhook="1") == [done]
        assert [one.job for one in outbox.load_replays(running=False)] == ["901", "900"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_replay_whose_write_failed_can_be_started_again(
        self, outbox: Outbox, engine: Engine, kind: Kind
    ) -> None:
        with failing_commit(engine, kind), pytest.raises(StoreError):
            outbox.start_replay(replay())
        assert outbox.start_replay(replay())
        assert outbox.load_replays() == [replay()]

    def test_a_page_of_what_is_asked_for_comes_out_of_an_index_in_order(self, filled: Engine) -> None:
        span: dict[str, Any] = {"from_ms": NOW_MS, "to_ms": NOW_MS + 1, "count_max": 10, "after_ms": 0}
        notes = {"app": "100", "from_ms": 0, "to_ms": NOW_MS, "count_max": 10, "outcome": "failed"}
        plain = note_queries.load_notes_sql(frozenset({"before"}), is_trouble=False)
        trouble = note_queries.load_notes_sql(frozenset({"outcome"}), is_trouble=True)
        place = {"before_ms": NOW_MS, "before_delivery": "d-1", "before_attempt": 1}
        assert scanned(filled, queries.LOAD_PARCEL, delivery="d-1") == []
        assert scanned(filled, queries.COUNT_PARCELS, replay="900") == []
        for statement, values in (
            (queries.LOAD_EVENTS, {"account": tag("ann"), "after_event": "", **span}),
            (queries.LOAD_SENT, {"webhook": "1", "after_delivery": "", **span}),
            (plain, notes | place),
            (trouble, notes),
        ):
            named = {name: value for name, value in values.items() if f":{name}" in statement.text}
            assert scanned(filled, statement, **named) == [], statement.text
            assert is_sorted_by_index(filled, statement, **named), statement.text
