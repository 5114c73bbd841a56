"""Policies: periods that entries set (section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ledger.incidents.policies import PROPOSED, format_period, parse_period
from tests.support.incident_world import BY, IncidentWorld

HOUR = 3_600_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IncidentWorld]:
    with IncidentWorld(tmp_path) as made:
        yield made


def test_nothing_is_in_force_before_somebody_sets_it(world: IncidentWorld) -> None:
    assert all(world.parts.policies.period_ms(one.policy, one.jurisdiction) is None for one in PROPOSED)


def test_the_last_one_set_holds_and_the_same_again_is_no_entry(world: IncidentWorld) -> None:
    policies = world.parts.policies
    assert policies.set("authority_notice", "gdpr", 72 * HOUR, BY)
    assert not policies.set("authority_notice", "gdpr", 72 * HOUR, BY)
    assert policies.set("authority_notice", "gdpr", 24 * HOUR, BY)
    assert policies.set("authority_notice", "gdpr", 72 * HOUR, BY)
    assert policies.period_ms("authority_notice", "gdpr") == 72 * HOUR
    assert [entry["period_ms"] for entry in world.entries("policy.set")] == [72 * HOUR, 24 * HOUR, 72 * HOUR]


def test_a_jurisdiction_is_not_another_one_and_not_everywhere(world: IncidentWorld) -> None:
    world.parts.policies.set("authority_notice", "gdpr", HOUR, BY)
    assert world.parts.policies.period_ms("authority_notice", "california") is None
    assert world.parts.policies.period_ms("authority_notice") is None


@pytest.mark.parametrize(
    ("policy", "jurisdiction", "period"),
    [("coffee_break", None, HOUR), ("retention.payloads", None, HOUR), ("authority_notice", "a b", HOUR),
     ("authority_notice", "gdpr", 0), ("authority_notice", "gdpr", 2**53)],
)  # fmt: skip
def test_what_nothing_asks_for_or_nobody_can_keep_is_refused(
    world: IncidentWorld, policy: str, jurisdiction: str | None, period: int
) -> None:
    with pytest.raises(UsageError):
        world.parts.policies.set(policy, jurisdiction, period, BY)
    assert world.entries("policy.set") == []


@pytest.mark.parametrize(
    ("text", "period"),
    [("72h", 72 * HOUR), ("30d", 720 * HOUR), ("90m", 5_400_000), ("5ms", 5), ("36h", 36 * HOUR)],
)
def test_a_period_is_read_and_written_alike(text: str, period: int) -> None:
    assert parse_period(text) == period
    assert format_period(period) == text


@pytest.mark.parametrize("text", ["", "72", "h", "-1h", "1.5h", "\u0667h", "1w"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no period"):
        parse_period(text)
