"""Looking at what is durable, between two batches (ledger format, section 1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.sequencer.draft import expect
from tests.support.log_world import START_MS, World, grant, open_world, opening, settlement


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = open_world(tmp_path)
    opened.sequencer.append_many(opening())
    yield opened
    opened.close()


def test_a_look_sees_what_is_durable_and_the_ledgers_own_time(world: World) -> None:
    world.clock.ms -= 60_000
    grants, now_ms = world.sequencer.look(lambda history, now_ms: (sorted(history.grants), now_ms))
    assert grants == ["g-0", "g-1", "g-2"]
    assert now_ms == START_MS


def test_a_look_sees_what_another_writer_appended(world: World) -> None:
    other = open_world(world.directory)
    expect(world.sequencer.append(grant(0, "g-further")))
    assert other.sequencer.look(lambda history, _: "g-further" in history.grants)
    other.close()


def test_a_look_sees_everything_that_was_handed_over_before_it(world: World) -> None:
    before = [world.sequencer.submit([settlement(f"d-{n}")]) for n in range(20)]
    last = world.sequencer.submit([grant(0, "g-further")])
    assert world.sequencer.look(lambda history, _: "g-further" in history.grants)
    assert all(call.done() for call in [*before, last])


def test_a_look_that_raises_tells_whoever_asked_and_nobody_else(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        world.sequencer.look(lambda history, now_ms: 1 // 0)
    assert expect(world.sequencer.append(grant(0, "g-further"))).created


def test_a_closed_sequencer_shows_nothing(world: World) -> None:
    world.sequencer.close()
    with pytest.raises(StoreError):
        world.sequencer.look(lambda history, now_ms: now_ms)
