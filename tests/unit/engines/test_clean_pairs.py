"""When a route and an arrival are clean together; whatever does not agree is left to the rule."""

from __future__ import annotations

from typing import Any

from ledger.core.entries import Observed, ReceivedBy
from ledger.engines.clean_pairs import Pairs, Party, Route
from tests.support.builders import POST, Log, seen

MINE = ReceivedBy(developer="dev-a", app="app-a", environment="prod", endpoint="wh-a")
PARTY = Party("dev-a", "app-a", "prod")
FOREVER = 2**53


def log_of_parties() -> Log:
    log = Log()
    log.parties()
    log.add("endpoint.verified", 10, endpoint="wh-a")
    return log


def route(gated: bool = False, **other: Any) -> Route:
    stated = {
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "endpoint": "wh-a",
        "event_type": POST,
    }
    return Route(gated, **(stated | other))


def spans(
    log: Log, way: Route, observed: dict[str, Any] | None = None, received_by: ReceivedBy | None = MINE
) -> list[tuple[int, int]]:
    told = None if observed is None else Observed(**observed)
    found = list(Pairs(log.history).clean_spans(way, told, received_by))
    assert all((span.party, span.scope) == (PARTY, "posts") for span in found)
    return [(span.from_ms, min(span.to_ms, FOREVER)) for span in found]


def test_an_import_to_the_endpoints_own_destination_is_clean_from_its_registration_on() -> None:
    log = log_of_parties()
    for observed in (None, seen(), {"peer_ip": "192.0.2.1"}):
        assert [start for start, _ in spans(log, route(), observed)] == [0]


def test_an_attempt_is_clean_from_the_first_passed_challenge_on() -> None:
    assert [start for start, _ in spans(log_of_parties(), route(gated=True), seen())] == [10]


def test_without_a_passed_challenge_no_attempt_is_clean() -> None:
    log = Log()
    log.parties()
    assert spans(log, route(gated=True), seen()) == []


def test_suspensions_transfers_and_retirement_cut_the_spans() -> None:
    log = log_of_parties()
    log.add("app.suspended", 100, app="app-a")
    log.add("app.reinstated", 110, app="app-a")
    log.add("developer.suspended", 120, developer="dev-a")
    log.add("developer.reinstated", 130, developer="dev-a")
    log.add("endpoint.retired", 200, endpoint="wh-a")
    assert spans(log, route(), seen()) == [(0, 100), (110, 120), (130, 200)]


def test_whatever_does_not_agree_is_never_clean() -> None:
    log = log_of_parties()
    other = ReceivedBy(developer="dev-a", app="app-a", environment="prod", endpoint="wh-b")
    for way, observed, claim in (
        (route(), seen("b.example"), MINE),
        (route(), seen("a.example", sni="b.example"), MINE),
        (route(), seen("b.example", sni="a.example"), MINE),
        (route(), seen(path="/other"), MINE),
        (route(), seen(), None),
        (route(), seen(), other),
        (route(developer="dev-b"), seen(), MINE),
        (route(developer=None), seen(), MINE),
        (route(app="app-b"), seen(), MINE),
        (route(environment="dev"), seen(), MINE),
        (route(event_type="poll_events"), seen(), MINE),
        (route(endpoint="wh-z"), seen(), MINE),
    ):
        assert spans(log, way, observed, claim) == []


def test_an_unknown_key_of_the_peer_is_left_to_the_rule() -> None:
    log = log_of_parties()
    log.add("endpoint.verified", 20, endpoint="wh-a", spki_sha256="a" * 64)
    assert spans(log, route(gated=True), seen(spki_sha256="a" * 64)) != []
    assert spans(log, route(gated=True), seen(spki_sha256="b" * 64)) == []


def test_a_stray_is_what_another_endpoint_may_have_received() -> None:
    log = log_of_parties()
    log.endpoint("wh-twin", "app-b", "https://b.example/hook")
    pairs = Pairs(log.history)

    def is_stray(endpoint: str, observed: dict[str, Any] | None) -> bool:
        return pairs.is_stray(route(endpoint=endpoint), None if observed is None else Observed(**observed))

    assert not is_stray("wh-a", seen())
    assert not is_stray("wh-a", None)
    assert is_stray("wh-a", seen("b.example"))
    assert is_stray("wh-b", seen("b.example")), "its URL is another endpoint's too"
    assert is_stray("wh-b", None)
    assert is_stray("wh-unknown", seen())
    assert not is_stray("wh-unknown", None)


def test_an_endpoint_whose_forced_url_leads_nowhere_is_never_clean() -> None:
    log = Log()
    log.app("app-a", "dev-a")
    log.endpoint("wh-a", "app-a", "ftp://a.example/hook", forced=True, developer="dev-a")
    assert spans(log, route()) == []
