"""What the history takes of entries, and whose events they are."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.entries import KINDS
from ledger.core.history import History, bears_state
from ledger.core.source_keys import SECOND_SOURCE_KINDS
from ledger.core.timelines import timeline_of
from tests.support.builders import Log, tag


def live_spans(log: Log, grant: str = "g") -> list[tuple[int, int]]:
    """When ``grant`` was live."""
    timeline = timeline_of(log.history.grants[grant])
    return [] if timeline is None else [span[:2] for span in timeline.spans]


def test_an_entry_is_read_by_attributes_alone() -> None:
    class Bare:
        kind, seq, at, recorded_at, via = "app.registered", 0, 5, 5, "api"
        app, developer = "app-a", "dev-a"

    history = History()
    history.add(Bare())
    assert history.apps["app-a"].owners.events[0].value == "dev-a"


def test_deliveries_and_the_logs_own_entries_are_passed_over() -> None:
    silent = (
        "access.",
        "delivery.",
        "export.",
        "finding.",
        "incident.",
        "index.",
        "key.",
        "ledger.",
        "notice.",
        "obligation.",
        "policy.",
    )
    for kind in KINDS:
        is_silent = kind.startswith(silent) or kind in SECOND_SOURCE_KINDS
        assert bears_state(kind) == (not is_silent), kind


def test_a_kind_that_nobody_knows_is_passed_over() -> None:
    class Bare:
        kind = "weather.reported"

    History().add(Bare())
    assert not bears_state("weather.reported")


def test_another_accounts_event_of_a_grant_is_never_folded() -> None:
    log = Log()
    log.issue(at=100)
    log.revoke(at=120, account=tag("bob"), developer="dev-a", forced=True)
    assert live_spans(log)[0][1] > 120


def test_a_second_issue_for_another_account_does_not_take_the_grant_over() -> None:
    log = Log()
    log.issue(at=100, expires_at=200)
    log.issue(at=50, account="bob", forced=True)
    log.issue(at=60, app="app-b", forced=True)
    log.issue(at=70, environment="dev", forced=True)
    assert log.history.grants["g"].account.account == tag("ann")
    assert live_spans(log) == [(100, 200)]


def test_a_revocation_before_its_grants_issue_in_the_log_counts_once_the_grant_is_there() -> None:
    log = Log()
    log.revoke(at=150, account=tag("ann"), developer="dev-a", forced=True)
    log.revoke(at=120, account=tag("bob"), developer="dev-a", forced=True)
    log.issue(at=100)
    assert live_spans(log) == [(100, 150)]


def test_a_url_that_only_a_forced_entry_can_hold_has_no_destination() -> None:
    log = Log()
    log.add("app.registered", 0, app="app-a", developer="dev-a")
    log.add(
        "endpoint.registered",
        0,
        endpoint="wh-a",
        app="app-a",
        developer="dev-a",
        environment="prod",
        url="https://ann@a.example/",
        forced=True,
    )
    assert log.history.destinations == {}


@pytest.mark.parametrize(
    "later", [("account.deleted", {"account": tag("ann")}), ("grant.revoked", {"grant": "g"})]
)
def test_a_kept_timeline_is_made_again_when_something_ends_the_grant(
    later: tuple[str, dict[str, Any]],
) -> None:
    log = Log()
    log.issue(at=100)
    assert live_spans(log)[0][1] > 200
    log.add(later[0], 200, **later[1])
    assert live_spans(log) == [(100, 200)]


def test_a_subscription_has_ended_from_its_deletion_until_it_is_made_again() -> None:
    log = Log()
    log.parties()
    log.issue(at=100)
    log.add("subscription.created", 100, subscription="s", grant="g", endpoint="wh-a")
    assert not log.history.has_ended("s", 300)
    log.add("subscription.deleted", 200, subscription="s")
    assert [log.history.has_ended("s", at) for at in (199, 200)] == [False, True]
    log.add("subscription.created", 300, subscription="s", grant="g", endpoint="wh-a")
    assert not log.history.has_ended("s", 300)
