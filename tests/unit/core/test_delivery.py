"""One attempt out of the entries that tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import Log, seen, tag


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    made.issue(at=100)
    return made


def test_an_import_is_attempt_and_settlement_in_one(log: Log) -> None:
    told = log.imported("d-7", at=150, attempt=3, observed=seen(), app="app-x")
    delivery = log.delivery(told)
    assert (delivery.delivery, delivery.attempt, delivery.started_at_ms) == ("d-7", 3, 150)
    assert (delivery.is_imported, delivery.is_from_file, delivery.is_settled) == (True, True, True)
    assert (delivery.app, delivery.developer, delivery.decided_at_size) == ("app-x", None, None)
    assert delivery.seqs == (told.seq,)


def test_an_import_through_the_api_is_not_from_a_file(log: Log) -> None:
    assert not log.delivery(log.imported(via="api")).is_from_file


def test_an_attempt_and_its_settlement_are_one_delivery(log: Log) -> None:
    attempted = log.attempt(at=150)
    settled = log.settle(attempted, 160, disclosure="possible")
    delivery = log.delivery(attempted, settled)
    assert (delivery.started_at_ms, delivery.recorded_at_ms, delivery.disclosure) == (160, 150, "possible")
    assert (delivery.decided_at_size, delivery.attempted_seq) == (attempted.seq, attempted.seq)
    assert (delivery.developer, delivery.app, delivery.seqs) == (
        "dev-a",
        "app-a",
        (attempted.seq, settled.seq),
    )


def test_the_transport_is_believed_before_the_rescuer_and_the_rescuer_where_it_is_alone(log: Log) -> None:
    attempted = log.attempt(at=150)
    rescued = log.settle(attempted, 151, by="rescuer", observed=None)
    assert log.delivery(attempted, rescued).started_at_ms == 151
    settled = log.settle(attempted, 155)
    assert log.delivery(attempted, rescued, settled).started_at_ms == 155
    assert len(log.delivery(attempted, rescued, settled).claims) == 2


def test_an_attempt_without_settlement_may_have_disclosed_when_it_was_recorded(log: Log) -> None:
    delivery = log.delivery(log.attempt(at=150))
    assert (delivery.is_settled, delivery.disclosure, delivery.started_at_ms) == (False, "possible", 150)
    assert delivery.observed is None


def test_a_settlement_without_attempt_has_no_event_type(log: Log) -> None:
    settled = log.settle(Log().attempt("d-9", at=150), 160)
    delivery = log.delivery(settled)
    assert (delivery.delivery, delivery.event_type, delivery.attempted_seq) == ("d-9", None, None)


def test_entries_out_of_order_are_told(log: Log) -> None:
    settled = log.settle(Log().attempt(at=150))
    attempted = log.attempt(at=150)
    assert log.delivery(attempted, settled).is_disordered
    assert not log.delivery(attempted).is_disordered


@pytest.mark.parametrize(
    "other", [{"account": tag("bob")}, {"subjects": [tag("bob")]}, {"developer": "dev-b"}, {}]
)
def test_a_settlement_repeats_the_tags_of_its_attempt(log: Log, other: dict[str, Any]) -> None:
    attempted = log.attempt(at=150)
    settled = log.settle(attempted, **other)
    assert log.delivery(attempted, settled).has_other_tags == bool(other)


def test_the_worker_that_settled_is_the_one_that_sent(log: Log) -> None:
    attempted = log.attempt(at=150, worker="w1")
    assert log.delivery(attempted).worker == "w1"
    assert log.delivery(attempted, log.settle(attempted, worker="w2")).worker == "w2"


def test_an_import_keeps_its_worker_and_resolved_address_for_circumstances(log: Log) -> None:
    delivery = log.delivery(log.imported(worker="w3", resolved_ip="203.0.113.7"))
    assert (delivery.worker, delivery.resolved_ip) == ("w3", "203.0.113.7")
