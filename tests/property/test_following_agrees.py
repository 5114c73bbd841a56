"""Following a log in any rounds against verifying it whole, at every size on the way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ledger.engines.scalar import ScalarEngine
from tests.property.test_engines_agree import DELIVERIES, FORGED, GROUPS, LATENESS, MIXES, build
from tests.property.test_rule_properties import STEPS
from tests.support.following import comparable, follow, save_and_load, start_following
from tests.support.forged_logs import MemoryLog, encode_log, verify_source
from tests.support.sourced_logs import ACTS

ROUNDS = st.lists(st.integers(1, 12), max_size=12)
# Each example verifies a log many times over; to make a failing one smaller would take an hour.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
RESTARTS = st.sets(st.integers(0, 12), max_size=2)


def verified(entries: list[bytes]) -> list[str]:
    """What a verification of the whole log finds."""
    return comparable(verify_source(MemoryLog(entries), ScalarEngine(), with_index=False).report.findings)


def check_rounds(entries: list[bytes], rounds: list[int], restarts: set[int], group_entries: int) -> None:
    follower = start_following(group_entries=group_entries)
    told: dict[str, Any] = {}
    sizes = [sum(rounds[: number + 1]) for number in range(len(rounds))]
    for number, size in enumerate([size for size in sizes if size < len(entries)] + [len(entries)]):
        follow(follower, entries[:size])
        told.update(follower.take_changed())
        expected = verified(entries[:size])
        assert comparable(follower.findings().values()) == expected
        assert comparable(found for found in told.values() if found is not None) == expected
        if number in restarts:
            with tempfile.TemporaryDirectory() as scratch:
                follower = save_and_load(follower, entries, Path(scratch), group_entries=group_entries)
            follower.judge()
            follower.take_changed()
            assert comparable(follower.findings().values()) == expected


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(STEPS, DELIVERIES, LATENESS, MIXES, GROUPS, ROUNDS, RESTARTS)
def test_a_log_followed_in_any_rounds_has_at_each_the_findings_of_a_whole_verification(
    steps: Any, deliveries: Any, lateness: Any, mix: Any, group_entries: int, rounds: Any, restarts: Any
) -> None:
    entries = encode_log(build(steps, deliveries, lateness, mix))
    check_rounds(entries, rounds, restarts, group_entries)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(STEPS, DELIVERIES, LATENESS, MIXES, ACTS, GROUPS, ROUNDS, RESTARTS)
def test_so_has_a_log_in_which_developers_and_proxies_speak_at_any_place(
    steps: Any,
    deliveries: Any,
    lateness: Any,
    mix: Any,
    acts: Any,
    group_entries: int,
    rounds: Any,
    restarts: Any,
) -> None:
    entries = encode_log(build(steps, deliveries, lateness, mix, acts))
    check_rounds(entries, rounds, restarts, group_entries)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(STEPS, DELIVERIES, LATENESS, MIXES, ACTS, FORGED, GROUPS, ROUNDS, RESTARTS)
def test_so_has_a_log_in_which_members_are_forged(
    steps: Any,
    deliveries: Any,
    lateness: Any,
    mix: Any,
    acts: Any,
    forged: Any,
    group_entries: int,
    rounds: Any,
    restarts: Any,
) -> None:
    members = build(steps, deliveries, lateness, mix, acts)
    for place, name, source in forged:
        # A number that is another entry's makes later sizes say something else about earlier entries.
        values = [each[name] for each in members if name in each and name != "seq"]
        if values:
            members[place % len(members)][name] = values[source % len(values)]
    check_rounds(encode_log(members), rounds, restarts, group_entries)
