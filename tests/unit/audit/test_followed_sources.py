"""Receipts and egress counts weighed entry by entry: at each size what a verification of the log at that size finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.core.egress_counts import HOUR_MS
from tests.property.test_following_agrees import check_rounds
from tests.support.builders import Log
from tests.support.forged_logs import encode_log, tell_events_apart
from tests.support.second_sources import DAY_MS, PROXY, add_count, add_receipt, public_key, set_key
from tests.unit.audit.test_receipts import deliver, new_log

MIDDLE = HOUR_MS + HOUR_MS // 2


def denied(log: Log) -> None:
    attempted = deliver(log, disclosure="none", status=None)
    add_receipt(log, "dev-a", attempted)


def missing(log: Log) -> None:
    add_receipt(log, "dev-a", deliver(log))
    for number in range(3):
        deliver(log, f"late-{number}", 200 + number)
    add_receipt(log, "dev-a", delivery="late-1")
    log.add("developer.registered", 201 + DAY_MS, developer="dev-y")
    log.add("developer.registered", 300 + DAY_MS, developer="dev-z")


def named_before_it_is_told(log: Log) -> None:
    add_receipt(log, "dev-a", delivery="d")
    deliver(log, disclosure="none", status=None)


def of_the_wrong_developer(log: Log) -> None:
    set_key(log, "dev-b", 120)
    add_receipt(log, "dev-b", deliver(log))
    log.add("app.transferred", 140, app="app-a", developer="dev-b")


def confirmed_misdelivery(log: Log) -> None:
    log.revoke("g", at=140)
    add_receipt(log, "dev-a", deliver(log, disclosure="possible", status=None))


def counted(log: Log) -> None:
    log.add("egress.key_set", 130, via="api", proxy=PROXY, key=public_key(PROXY))
    attempted = log.attempt("d", at=MIDDLE, body_bytes=9_216)
    log.settle(attempted, MIDDLE)
    add_count(log, sni="a.example", bytes_up=20_000)
    add_count(log, names=1, bytes_up=20_000)
    add_count(log, sni="nowhere.example")
    log.app("app-n", "dev-n", at=log.recorded_at)
    log.endpoint("wh-n", "app-n", "https://nowhere.example/hook", at=log.recorded_at)


@pytest.mark.parametrize(
    "tell", [denied, missing, named_before_it_is_told, of_the_wrong_developer, confirmed_misdelivery, counted]
)
@pytest.mark.parametrize("step", [1, 3])
def test_at_each_size_what_stands_is_what_a_verification_finds(
    tell: Callable[[Log], None], step: int
) -> None:
    log = new_log()
    tell(log)
    entries = encode_log(tell_events_apart(log))
    rounds = [step] * (len(entries) // step)
    check_rounds(entries, rounds, {len(rounds) // 2, len(rounds) - 1}, 1)
