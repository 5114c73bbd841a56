"""What counts as arrived, and what as misdelivered, when receivers' logs are compared with what had to arrive."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from ledger.errors import StoreError
from ledger.reenactment.receivers import Received
from ledger.reenactment.service_arrivals import Arrivals, Tally
from ledger.reenactment.service_weather import Weather
from ledger.reenactment.traffic import Outage
from tests.support.service_play import A, event, world

EVENT = event(A, 2)
RIGHT = Received(
    developer="dev-a",
    at_ms=0,
    address="127.0.0.2",
    sni="a.example",
    spki_sha256="00" * 32,
    host_header="a.example",
    method="POST",
    target="/hook",
    delivery="d-1",
    attempt=None,
    body=EVENT.body,
    signed_by="11",
    status=200,
)


def nothing() -> None:
    """The service runs."""


@pytest.fixture
def arrivals() -> Arrivals:
    made = Arrivals(world())
    made.expect(EVENT, ["wh-a"])
    return made


def test_what_arrives_as_it_was_meant_to_is_all_there_is_to_it(arrivals: Arrivals) -> None:
    arrivals.note(RIGHT)
    assert arrivals.tally() == Tally(expected=1, arrived=1, lost=0, requests=1, misdelivered=0, duplicates=0)


def test_what_does_not_arrive_is_lost(arrivals: Arrivals) -> None:
    assert (arrivals.tally().lost, arrivals.tally().arrived) == (1, 0)


@pytest.mark.parametrize(
    "members",
    [
        {"developer": "dev-b"},
        {"signed_by": "12"},
        {"signed_by": None},
        {"sni": "b.example", "developer": "dev-b", "signed_by": "12"},
        {"sni": "nobody.example"},
        {"target": "/hook/"},
        {"body": b"{}"},
        {"developer": "dev-b", "status": 503},
    ],
    ids=str,
)
def test_whatever_else_reads_a_body_it_was_misdelivered_to(
    arrivals: Arrivals, members: dict[str, object]
) -> None:
    arrivals.note(replace(RIGHT, **members))  # type: ignore[arg-type]
    assert (arrivals.tally().misdelivered, arrivals.tally().arrived) == (1, 0)
    assert [row["misdelivered"] for row in arrivals.truth_rows()] == [True]


def test_nobody_waits_for_what_somebody_else_has_taken(arrivals: Arrivals) -> None:
    arrivals.note(replace(RIGHT, developer="dev-b", status=503))
    assert arrivals.waiting() == {"dev-a"}
    arrivals.note(replace(RIGHT, developer="dev-b"))
    assert arrivals.waiting() == set()


def test_what_was_read_and_not_taken_has_not_arrived_yet(arrivals: Arrivals) -> None:
    arrivals.note(replace(RIGHT, status=503))
    assert (arrivals.tally().misdelivered, arrivals.tally().lost) == (0, 1)
    assert arrivals.waiting("101") == {"dev-a"}


def test_what_was_taken_before_is_a_duplicate(arrivals: Arrivals) -> None:
    arrivals.note(RIGHT)
    arrivals.note(RIGHT)
    assert (arrivals.tally().arrived, arrivals.tally().duplicates) == (1, 1)


def test_a_challenge_is_no_delivery(arrivals: Arrivals) -> None:
    arrivals.note(replace(RIGHT, method="GET", body=b""))
    assert arrivals.tally().requests == 0


def test_an_account_waits_for_its_own_deliveries_only(arrivals: Arrivals) -> None:
    assert (arrivals.waiting("101"), arrivals.waiting("102")) == ({"dev-a"}, set())


def test_waiting_ends_with_the_arrival(arrivals: Arrivals) -> None:
    threading.Timer(0.05, arrivals.note, [RIGHT]).start()
    assert arrivals.wait(lambda: not arrivals.waiting(), nothing, 10)


def test_waiting_ends_when_nothing_comes_any_more(arrivals: Arrivals) -> None:
    assert not arrivals.wait(lambda: not arrivals.waiting(), nothing, 0.2)


def test_waiting_ends_with_the_service(arrivals: Arrivals) -> None:
    def gone() -> None:
        raise StoreError("it has gone")

    with pytest.raises(StoreError, match="gone"):
        arrivals.wait(lambda: False, gone, 10)


def test_an_outage_is_on_until_it_ends_or_somebody_cannot_wait() -> None:
    weather = Weather()
    first, second = Outage("dev-a", 0, 1, "drop"), Outage("dev-a", 0, 2, "refuse")
    weather.begin(first)
    weather.begin(second)
    assert weather.behaviour("dev-a") == "drop"
    weather.end(first)
    assert (weather.behaviour("dev-a"), weather.behaviour("dev-b")) == ("refuse", "answer")
    weather.clear(["dev-b"])
    assert weather.is_on(second)
    weather.clear(["dev-a"])
    assert weather.behaviour("dev-a") == "answer"


def test_what_fails_at_an_outage_is_counted() -> None:
    weather = Weather()
    weather.begin(Outage("dev-a", 0, 1, "refuse"))
    weather.behaviour("dev-a")
    weather.note(replace(RIGHT, status=503))
    weather.note(RIGHT)
    assert weather.met("dev-a") == 2
