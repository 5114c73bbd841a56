"""Each write of an obligation fails in both ways, and the same call made again comes to the same: one entry, one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import StoreError
from ledger.incidents.policies import DAY_MS
from ledger.ports.obligations import Obligation
from tests.conformance.service_samples import KINDS, Kind
from tests.support.duties_world import GRANTING, INCIDENT, OPERATOR, DutiesWorld
from tests.unit.incidents.attesting import register, signed

BY = "developer:key"

Action = Callable[[DutiesWorld], object]


def name_of(world: DutiesWorld) -> str:
    return world.duties.obligations.load_all()[0].obligation


def now(world: DutiesWorld) -> Obligation:
    return world.duties.obligations.load(name_of(world))


def late(world: DutiesWorld) -> None:
    world.clock.later_ms = 2 * DAY_MS
    world.duties.escalation.run_once()


def open_it(world: DutiesWorld) -> object:
    return world.duties.obligations.open(INCIDENT, actor=OPERATOR)


def queue(world: DutiesWorld) -> object:
    return world.duties.notices.queue(INCIDENT, actor=OPERATOR)


def acknowledge(world: DutiesWorld) -> object:
    return world.duties.obligations.acknowledge(now(world), BY, "yes")


def attest(world: DutiesWorld) -> object:
    return world.duties.attestations.take(now(world), signed(now(world)), BY)


def note_overdue(world: DutiesWorld) -> object:
    world.clock.later_ms = 2 * DAY_MS
    return world.duties.escalation.run_once()


def suspend(world: DutiesWorld) -> object:
    return world.duties.escalation.escalate(now(world), OPERATOR, "suspend_deliveries")


def remind(world: DutiesWorld) -> None:
    late(world)
    world.duties.escalation.escalate(now(world), OPERATOR, "remind")


ACTIONS: list[tuple[Action, list[Callable[[DutiesWorld], Any]], dict[str, int]]] = [
    (open_it, [], {"obligation.opened": 1}),
    (queue, [], {"notice.queued": 3}),
    (acknowledge, [open_it], {"obligation.notified": 1, "obligation.acknowledged": 1}),
    (attest, [open_it, register], {"obligation.notified": 1, "obligation.attested": 1}),
    (note_overdue, [open_it], {"obligation.overdue": 1, "finding.recorded": 1}),
    (suspend, [open_it, remind], {"obligation.escalated": 2, "developer.suspended": 1}),
]


@contextmanager
def failing(world: DutiesWorld, kind: Kind, nth: int) -> Iterator[list[int]]:
    """The ``nth`` commit of a transaction that wrote is reported as failed: before it happens, or after it did."""
    dialect: Any = world.service.ledger.engine.dialect
    commit, seen = dialect.do_commit, [0]

    def fail(connection: Any) -> None:
        seen[0] += 1
        if seen[0] != nth:
            commit(connection)
            return
        if kind == "after":
            commit(connection)
        raise dialect.loaded_dbapi.OperationalError("failed on purpose")

    dialect.do_commit = fail
    try:
        yield seen
    finally:
        dialect.do_commit = commit


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("action", "before", "expected"), ACTIONS, ids=lambda one: getattr(one, "__name__", "")
)
def test_whatever_fails_the_same_call_again_ends_it_once(
    tmp_path: Path,
    action: Action,
    before: list[Callable[[DutiesWorld], Any]],
    expected: dict[str, int],
    kind: Kind,
) -> None:
    with DutiesWorld(tmp_path) as world:
        for step in before:
            step(world)
        nth, is_over = 1, False
        while not is_over:
            with failing(world, kind, nth) as seen:
                try:
                    action(world)
                except StoreError:
                    nth += 1
                else:
                    # It went through: because nothing failed, or because the log said that it had happened.
                    is_over = seen[0] < nth or kind == "after"
        action(world)
        counts = {name: len(world.entries(name)) for name in expected}
        assert counts == expected
        if world.duties.obligations.load_all():
            found = now(world)
            lines = list(world.duties.obligations.stream_lines(found.obligation))
            steps = world.entries(*KINDS_OF_STEPS)
            assert (found.version, len(lines)) == (len(steps), 4)
        assert world.service.vault.find([GRANTING])


KINDS_OF_STEPS = tuple(
    f"obligation.{name}"
    for name in ("notified", "acknowledged", "in_progress", "attested", "overdue", "escalated")
)
