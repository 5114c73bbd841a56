"""What claiming from an Outbox must do, whatever database it lies on: subclass, give ``url`` and ``work_of_a_claim``."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from ledger.errors import StoreError
from ledger.ports.outbox import Leased, Outbox, Parcel
from ledger.ports.registry import Registry
from ledger.store.claims import FIND
from ledger.store.engine import open_engine
from ledger.store.outbox import SqlOutbox
from tests.conformance.outbox_suite import OutboxWorld
from tests.conformance.service_samples import (
    KINDS,
    NOW_MS,
    Kind,
    at_once,
    failing_commit,
    held,
    note,
    parcel,
    scanned,
    webhook,
)

LEASE_MS = 30_000
WAITING_MANY = 12_000


def claim(
    outbox: Outbox,
    owner: str = "me",
    now_ms: int = NOW_MS,
    count_max: int = 256,
    per_webhook_max: int = 256,
    busy: Mapping[str, int] | None = None,
) -> Sequence[Leased]:
    return outbox.claim(owner, now_ms, LEASE_MS, count_max, per_webhook_max, busy or {})


def deliveries(leased: Sequence[Leased]) -> list[str]:
    return [one.parcel.delivery for one in leased]


def fill(outbox: Outbox, count: int, target: str = "1", prefix: str = "") -> list[Parcel]:
    """Put ``count`` parcels to ``target`` in, one millisecond after the other; they come back in order."""
    parcels = []
    for start in range(0, count, 1_000):
        numbers = range(start, min(count, start + 1_000))
        events = [held(f"{prefix}{target}/{n}") for n in numbers]
        made = [parcel(event, target, due_at_ms=n) for event, n in zip(events, numbers, strict=True)]
        outbox.put(events, made)
        parcels += made
    return parcels


def claim_in_a_process(url: str, owner: str, found: multiprocessing.Queue[list[str]]) -> None:
    """Claim until nothing is left, and tell what was got."""
    engine = open_engine(url)
    outbox = SqlOutbox(engine)
    got: list[str] = []
    while leased := claim(outbox, owner, count_max=37):
        got += deliveries(leased)
    engine.dispose()
    found.put(got)


class ClaimsSuite(OutboxWorld):
    """The properties of the port."""

    @pytest.fixture
    def work_of_a_claim(self, engine: Engine) -> Callable[[Outbox], int]:
        raise NotImplementedError("a suite of a database measures how much it reads for a claim")

    @pytest.fixture(autouse=True)
    def _webhooks(self, registry: Registry) -> None:
        """Webhooks are there before parcels are."""

    def test_nothing_is_claimed_where_nothing_waits(self, outbox: Outbox) -> None:
        assert claim(outbox) == []

    def test_a_claim_gives_all_that_is_needed_to_send(self, outbox: Outbox) -> None:
        event = held(body_sealed=bytes(range(256)) * 8)
        waiting = parcel(event, attempt=3, due_at_ms=NOW_MS - 1, replay="900")
        outbox.put([event], [waiting])
        assert claim(outbox) == [Leased(waiting, event, NOW_MS + LEASE_MS)]

    def test_what_is_due_first_is_claimed_first_whichever_webhook_it_goes_to(self, outbox: Outbox) -> None:
        events = [held(str(n)) for n in range(9)]
        made = [
            parcel(event, "123"[n % 3], due_at_ms=NOW_MS - (n * 4) % 9)
            for n, event in enumerate(events)
        ]  # fmt: skip
        outbox.put(events, made)
        ordered = [one.delivery for one in sorted(made, key=lambda one: one.due_at_ms)]
        assert deliveries(claim(outbox, count_max=4)) == ordered[:4]
        assert deliveries(claim(outbox)) == ordered[4:]

    def test_of_what_is_due_at_the_same_time_the_first_that_came_is_first(self, outbox: Outbox) -> None:
        events = [held(str(n)) for n in range(40)]
        made = [parcel(event) for event in events]
        outbox.put(events, made)
        assert deliveries(claim(outbox)) == [one.delivery for one in made]

    def test_what_is_not_due_is_left(self, outbox: Outbox) -> None:
        event = held()
        outbox.put([event], [parcel(event, due_at_ms=NOW_MS + 1)])
        assert claim(outbox) == []
        assert len(claim(outbox, now_ms=NOW_MS + 1)) == 1

    @pytest.mark.parametrize(
        ("count_max", "per_webhook_max", "expected"), [(0, 5, 0), (5, 0, 0), (3, 5, 3), (9, 2, 4)]
    )
    def test_no_more_is_claimed_than_wanted(
        self, outbox: Outbox, count_max: int, per_webhook_max: int, expected: int
    ) -> None:
        fill(outbox, 4, "1")
        fill(outbox, 4, "2")
        assert len(claim(outbox, count_max=count_max, per_webhook_max=per_webhook_max)) == expected

    def test_a_webhook_gets_no_more_than_it_has_room_for(self, outbox: Outbox) -> None:
        for target in "123":
            fill(outbox, 9, target)
        leased = claim(outbox, per_webhook_max=5, busy={"1": 5, "2": 3, "3": 0, "nobody's": 7})
        assert Counter(one.parcel.webhook for one in leased) == {"2": 2, "3": 5}
        assert claim(outbox, per_webhook_max=5, busy={"1": 9, "2": 5, "3": 6}) == []

    def test_parcels_of_an_invalid_or_deleted_or_unknown_webhook_wait(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        for target in ("1", "2", "3", "unknown"):
            fill(outbox, 2, target)
        registry.apply(
            [
                registry.put_webhook(webhook("1", is_valid=False, failing_since_ms=NOW_MS)),
                registry.put_webhook(webhook("2", deleted_at_ms=NOW_MS)),
            ]
        )
        assert {one.parcel.webhook for one in claim(outbox)} == {"3"}
        registry.apply([registry.put_webhook(webhook("1"))])
        assert {one.parcel.webhook for one in claim(outbox)} == {"1"}
        assert outbox.count_waiting(NOW_MS)[0] == 8

    def test_a_lease_holds_until_it_runs_out_and_the_attempt_stays_the_same(self, outbox: Outbox) -> None:
        (made,) = fill(outbox, 1)
        assert [one.parcel for one in claim(outbox, "a")] == [made]
        assert claim(outbox, "b", now_ms=NOW_MS + LEASE_MS - 1) == []
        (again,) = claim(outbox, "b", now_ms=NOW_MS + LEASE_MS)
        assert again.parcel == made
        assert again.lease_until_ms == NOW_MS + 2 * LEASE_MS
        assert claim(outbox, "a", now_ms=NOW_MS + LEASE_MS) == []

    def test_what_is_given_back_is_claimed_at_once(self, outbox: Outbox) -> None:
        made = fill(outbox, 4)
        leased = deliveries(claim(outbox, "a"))
        outbox.release([leased[1], leased[3], "d-unknown", "\0"], "a")
        assert deliveries(claim(outbox, "b")) == [made[1].delivery, made[3].delivery]

    def test_nobody_gives_back_what_another_holds(self, outbox: Outbox) -> None:
        fill(outbox, 2)
        leased = deliveries(claim(outbox, "a"))
        outbox.release(leased, "b")
        outbox.release([], "a")
        assert claim(outbox, "b") == []

    def test_what_was_taken_over_is_not_given_back_by_who_had_it_first(self, outbox: Outbox) -> None:
        fill(outbox, 1)
        leased = deliveries(claim(outbox, "a"))
        assert deliveries(claim(outbox, "b", now_ms=NOW_MS + LEASE_MS)) == leased
        outbox.release(leased, "a")
        assert claim(outbox, "c", now_ms=NOW_MS + LEASE_MS) == []

    def test_what_ended_is_not_claimed_and_what_is_retried_is_when_it_is_due(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        first, second = fill(outbox, 2)
        claim(outbox)
        registry.apply(
            [outbox.end(first.delivery, 1, "delivered"), outbox.retry(second.delivery, 1, NOW_MS + 3_000)]
        )
        assert claim(outbox, "b", now_ms=NOW_MS + 2_999) == []
        (again,) = claim(outbox, "b", now_ms=NOW_MS + 3_000)
        assert again.parcel == replace(second, attempt=2, due_at_ms=NOW_MS + 3_000)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_claim_that_failed_leases_or_does_not_and_loses_nothing(
        self, outbox: Outbox, engine: Engine, kind: Kind
    ) -> None:
        made = fill(outbox, 3)
        with failing_commit(engine, kind), pytest.raises(StoreError):
            claim(outbox, "a")
        assert len(claim(outbox, "b")) == (3 if kind == "before" else 0)
        found = claim(outbox, "c", now_ms=NOW_MS + LEASE_MS)
        assert [one.parcel for one in found] == made

    @pytest.mark.parametrize("kind", KINDS)
    def test_giving_back_that_failed_can_be_repeated(
        self, outbox: Outbox, engine: Engine, kind: Kind
    ) -> None:
        fill(outbox, 3)
        leased = deliveries(claim(outbox, "a"))
        with failing_commit(engine, kind), pytest.raises(StoreError):
            outbox.release(leased, "a")
        outbox.release(leased, "a")
        assert deliveries(claim(outbox, "b")) == leased

    def test_a_parcel_whose_event_has_gone_stands_in_nobodys_way(
        self, outbox: Outbox, engine: Engine
    ) -> None:
        made = fill(outbox, 6)
        with engine.begin() as connection:
            for one in made[:4]:
                connection.exec_driver_sql(f"DELETE FROM service_events WHERE event = '{one.event}'")
        assert deliveries(claim(outbox, per_webhook_max=2)) == [one.delivery for one in made[4:]]
        assert outbox.load_parcel(made[0].delivery) == (made[0], "expired")
        assert outbox.count_waiting(NOW_MS)[0] == 2

    def test_a_claim_is_what_going_through_everything_would_give(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        chance = random.Random(17)
        events = [held(str(n)) for n in range(90)]
        made = [
            parcel(event, chance.choice("12345"), due_at_ms=NOW_MS + chance.randrange(-40, 10))
            for event in events
        ]  # fmt: skip
        outbox.put(events, made)
        registry.apply([registry.put_webhook(webhook("4", is_valid=False))])
        held_until: dict[str, int] = {}
        for step in range(40):
            now_ms = NOW_MS + step * 2_000
            count_max, per_webhook_max = chance.randrange(1, 12), chance.randrange(1, 6)
            busy = {target: chance.randrange(6) for target in "123" if chance.random() < 0.5}
            room = {target: per_webhook_max - busy.get(target, 0) for target in "123"}
            expected: list[str] = []
            for one in sorted(made, key=lambda one: (one.due_at_ms, made.index(one))):
                is_free = one.due_at_ms <= now_ms and held_until.get(one.delivery, 0) <= now_ms
                if is_free and room.get(one.webhook, 0) > 0 and len(expected) < count_max:
                    room[one.webhook] -= 1
                    expected.append(one.delivery)
            found = claim(outbox, "me", now_ms, count_max, per_webhook_max, busy)
            assert deliveries(found) == expected
            held_until.update(dict.fromkeys(expected, now_ms + LEASE_MS))

    def test_a_hanging_webhook_with_many_waiting_holds_nobody_up(self, outbox: Outbox) -> None:
        fill(outbox, 3_000, "1")
        made = fill(outbox, 5, "2")
        leased = claim(outbox, count_max=8, per_webhook_max=4)
        assert Counter(one.parcel.webhook for one in leased) == {"1": 4, "2": 4}
        leased = claim(outbox, count_max=8, per_webhook_max=4, busy={"1": 4})
        assert deliveries(leased) == [made[4].delivery]

    def test_a_claim_reads_no_more_where_more_waits(
        self, outbox: Outbox, work_of_a_claim: Callable[[Outbox], int]
    ) -> None:
        fill(outbox, 200, "1")
        fill(outbox, 200, "2")
        claim(outbox, per_webhook_max=8)
        few = work_of_a_claim(outbox)
        fill(outbox, WAITING_MANY, "1", "more")
        claim(outbox, per_webhook_max=8)
        many = work_of_a_claim(outbox)
        # The index is a level or two higher; reading what waits would be hundreds of times as much.
        assert many < 2 * few

    def test_a_claim_finds_all_that_it_reads_by_an_index(self, filled: Engine, registry: Registry) -> None:
        registry.apply([registry.put_webhook(webhook(str(n))) for n in range(300)])
        find = text(FIND[filled.dialect.name])
        values = {"now_ms": NOW_MS, "count_max": 256, "per_webhook_max": 8, "busy": '{"1":2}'}
        left = scanned(filled, find, **values)
        assert left == [], left

    def test_parcels_that_many_threads_claim_are_claimed_once_each(self, outbox: Outbox) -> None:
        made = {one.delivery for target in "123" for one in fill(outbox, 667, target)}

        def take(owner: str) -> list[str]:
            got: list[str] = []
            while leased := claim(outbox, owner, count_max=50, per_webhook_max=20):
                got += deliveries(leased)
            return got

        taken = at_once(*[lambda owner=str(n): take(owner) for n in range(8)])
        together = [delivery for got in taken for delivery in got]
        assert len(together) == len(made) == 2_001
        assert set(together) == made

    def test_parcels_that_many_processes_claim_are_claimed_once_each(self, outbox: Outbox, url: str) -> None:
        made = {one.delivery for one in fill(outbox, 1_000)}
        context = multiprocessing.get_context("spawn")
        found: multiprocessing.Queue[list[str]] = context.Queue()
        workers = [
            context.Process(target=claim_in_a_process, args=(url, str(n), found)) for n in range(3)
        ]  # fmt: skip
        for worker in workers:
            worker.start()
        together = [delivery for _ in workers for delivery in found.get(timeout=120)]
        for worker in workers:
            worker.join()
        assert len(together) == len(made)
        assert set(together) == made

    def test_who_claims_ends_retries_puts_and_expires_at_once_holds_nobody_up(
        self, outbox: Outbox, registry: Registry
    ) -> None:
        made = {one.delivery for target in "123" for one in fill(outbox, 150, target)}
        stop = threading.Event()

        def dispatch(owner: str) -> int:
            ended = 0
            while leased := claim(outbox, owner, count_max=16, per_webhook_max=8):
                back, tried = leased[:2], leased[2:]
                outbox.release(deliveries(back), owner)
                later = [one.parcel for one in tried if one.parcel.attempt == 1]
                last = [one.parcel for one in tried if one.parcel.attempt == 2]
                registry.apply(
                    [
                        *[outbox.retry(one.delivery, 1, one.due_at_ms + 5) for one in reversed(later)],
                        *[outbox.end(one.delivery, 2, "delivered") for one in last],
                        *[outbox.note(note(one.delivery)) for one in later],
                    ]
                )
                ended += len(last)
                if not tried:
                    return ended
            return ended

        def disturb() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                old = held(f"old/{number}", received_at_ms=1)
                outbox.put([old], [parcel(old, due_at_ms=NOW_MS * 2)])
                outbox.expire(2, 100)

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        ended = at_once(*[lambda owner=str(n): dispatch(owner) for n in range(6)])
        stop.set()
        disturbing.join()
        assert not [one for one in ended if isinstance(one, Exception)]
        left = self.finish(outbox, registry)
        assert sum(ended) + left == len(made)
        assert len(outbox.load_notes("100", count_max=1_000)) == len(made)

    def finish(self, outbox: Outbox, registry: Registry) -> int:
        """Deliver what is left, alone."""
        ended = 0
        while leased := claim(outbox, "last", now_ms=NOW_MS + 2 * LEASE_MS):
            registry.apply(
                [
                    outbox.retry(one.parcel.delivery, 1, 1)
                    if one.parcel.attempt == 1
                    else outbox.end(one.parcel.delivery, 2, "delivered")
                    for one in leased
                ]
                + [outbox.note(note(one.parcel.delivery)) for one in leased]
            )
            ended += sum(one.parcel.attempt == 2 for one in leased)
        return ended
