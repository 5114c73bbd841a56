"""The exact edges of the fault of 2018: two developers, one address and a few events, over real TLS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.core.scopes import ALL
from ledger.reenactment.dispatcher import Fault
from ledger.reenactment.receivers import is_bindable
from ledger.reenactment.run import TrafficRun, run_traffic
from ledger.reenactment.templates import fill
from ledger.reenactment.traffic import Event, Outage, Replay, Restart, Traffic, make_event
from ledger.reenactment.world import (
    DAY_MS,
    OPENED_AT_MS,
    App,
    Developer,
    DnsChange,
    Grant,
    Person,
    Webhook,
    World,
)

T0 = OPENED_AT_MS + DAY_MS
ONE = Fault("ip+path", workers=1)
CONNECTION = replace(ONE, key="connection")
A, B, FRIEND = Person("101", "A", "a"), Person("102", "B", "b"), Person("900", "Friend", "friend")
HOOK_A = Webhook("wh-a", "app-a", "prod", "a.example", "/hook")
HOOK_B = Webhook("wh-b", "app-b", "prod", "b.example", "/hook")


def world(
    hook_b: Webhook = HOOK_B,
    dns_b: tuple[tuple[int, str], ...] = ((OPENED_AT_MS, "127.0.0.2"),),
    **grants: dict[str, Any],
) -> World:
    """Developers A and B with an account each; ``grants`` changes the grant of ``a`` or ``b``."""
    issued = {
        name: Grant(f"g-{name}", person.person, f"app-{name}", "prod", (ALL,), OPENED_AT_MS)
        for name, person in (("a", A), ("b", B))
    }
    return World(
        "boundaries",
        (Developer("dev-a", "A"), Developer("dev-b", "B")),
        (App("app-a", "dev-a", "secret of a"), App("app-b", "dev-b", "secret of b")),
        (HOOK_A, hook_b),
        (A, B),
        tuple(replace(grant, **grants.get(name, {})) for name, grant in issued.items()),
        (
            DnsChange(OPENED_AT_MS, "a.example", "127.0.0.2"),
            *(DnsChange(at_ms, "b.example", address) for at_ms, address in dns_b),
        ),
    )


def message(account: Person, after_s: float, shard: str = "one") -> Event:
    at_ms = T0 + round(after_s * 1000)
    return make_event(fill("direct_message_events", account, FRIEND, at_ms, 1), at_ms, shard)


def play(
    *events: Event, fault: Fault = ONE, among: World | None = None, **happenings: tuple[Any, ...]
) -> TrafficRun:
    return run_traffic(among or world(), Traffic(events, **happenings), fault)  # type: ignore[arg-type]


def receivers(run: TrafficRun) -> list[str | None]:
    """Who received each attempt, in order."""
    return [attempt.received_developer for attempt in run.attempts]


@pytest.mark.parametrize(
    ("after_s", "got"), [(359, "dev-a"), (360, "dev-a"), (360.001, "dev-b"), (361, "dev-b")]
)
@pytest.mark.parametrize("fault", [ONE, CONNECTION])
def test_an_entry_lives_for_exactly_six_minutes(fault: Fault, after_s: float, got: str) -> None:
    assert receivers(play(message(A, 0), message(B, after_s), fault=fault)) == ["dev-a", got]


def test_the_first_writer_wins_until_its_entry_ends() -> None:
    run = play(message(B, 0), message(A, 10), message(B, 20), message(A, 361), message(B, 362))
    assert receivers(run) == ["dev-b", "dev-b", "dev-b", "dev-a", "dev-a"]


@pytest.mark.parametrize(("sliding", "got"), [(False, "dev-b"), (True, "dev-a")])
def test_only_a_sliding_entry_is_kept_alive_by_use(sliding: bool, got: str) -> None:
    run = play(message(A, 0), message(B, 300), message(B, 600), fault=replace(ONE, sliding=sliding))
    assert receivers(run) == ["dev-a", "dev-a", got]


@pytest.mark.parametrize("path", ["/hook/", "/Hook", "/hook?", "/hook?v=1"])
def test_a_path_that_differs_at_all_is_another_destination(path: str) -> None:
    run = play(message(A, 0), message(B, 1), among=world(replace(HOOK_B, path=path)))
    assert receivers(run) == ["dev-a", "dev-b"]


@pytest.mark.parametrize("path", ["/hook/", "/Hook", "/hook?v=1"])
def test_by_address_alone_the_path_is_no_help(path: str) -> None:
    run = play(
        message(A, 0), message(B, 1), among=world(replace(HOOK_B, path=path)), fault=replace(ONE, key="ip")
    )
    assert receivers(run) == ["dev-a", "dev-a"]
    assert run.attempts[1].observed.path == "/hook"


@pytest.mark.parametrize("fault", [ONE, replace(ONE, key="ip"), CONNECTION])
def test_another_port_is_another_destination(fault: Fault) -> None:
    run = play(message(A, 0), message(B, 1), among=world(replace(HOOK_B, port=8443)), fault=fault)
    assert receivers(run) == ["dev-a", "dev-b"]
    assert [attempt.observed.port for attempt in run.attempts] == [443, 8443]


@pytest.mark.parametrize("fault", [ONE, replace(ONE, key="ip"), CONNECTION])
def test_another_address_is_another_destination(fault: Fault) -> None:
    other = "::1" if is_bindable("::1") else "127.0.0.3"
    run = play(message(A, 0), message(B, 1), among=world(dns_b=((OPENED_AT_MS, other),)), fault=fault)
    assert receivers(run) == ["dev-a", "dev-b"]
    assert run.attempts[1].observed.peer_ip == other


def test_a_name_that_moves_to_the_address_meets_the_entry_there() -> None:
    moving = world(dns_b=((OPENED_AT_MS, "127.0.0.3"), (T0 + 10_000, "127.0.0.2")))
    assert receivers(play(message(A, 0), message(B, 5), message(B, 10), among=moving)) == [
        "dev-a",
        "dev-b",
        "dev-a",
    ]


@pytest.mark.parametrize("fault", [ONE, CONNECTION])
def test_a_restarted_worker_has_forgotten(fault: Fault) -> None:
    run = play(message(A, 0), message(B, 2), fault=fault, restarts=(Restart(T0 + 1_000, 0),))
    assert receivers(run) == ["dev-a", "dev-b"]


def test_another_worker_has_its_own_cache() -> None:
    events = [message(A, 0, "s0"), *(message(B, 1 + number, f"s{number}") for number in range(8))]
    run = play(*events, fault=replace(ONE, workers=4))
    first = run.attempts[0].worker
    here = [attempt.received_developer for attempt in run.attempts[1:] if attempt.worker == first]
    elsewhere = [attempt.received_developer for attempt in run.attempts[1:] if attempt.worker != first]
    assert here
    assert elsewhere
    assert (set(here), set(elsewhere)) == ({"dev-a"}, {"dev-b"})


def test_a_retry_goes_through_the_cache_again() -> None:
    down = Outage("dev-a", T0 + 500, T0 + 2_000, "unavailable")
    run = play(message(A, 0), message(B, 1), outages=(down,))
    assert receivers(run) == ["dev-a", "dev-a", "dev-a"]
    assert [(attempt.attempt, attempt.status) for attempt in run.attempts[1:]] == [(1, 503), (2, 200)]


def test_a_retry_that_outlives_the_entry_goes_right() -> None:
    down = Outage("dev-a", T0 + 500, T0 + 400_000, "unavailable")
    run = play(message(A, 0), message(B, 200), outages=(down,))
    assert receivers(run) == ["dev-a", "dev-a", "dev-a", "dev-a", "dev-b"]


def test_a_replay_goes_through_the_cache() -> None:
    replay = Replay(T0 + 1_001_000, "wh-b", T0, T0 + 1_000_000)
    run = play(message(B, 0), message(A, 1_000), replays=(replay,))
    assert receivers(run) == ["dev-b", "dev-a", "dev-a"]
    assert run.attempts[2].is_replay
    assert run.attempts[2].event == run.attempts[0].event


def test_a_revocation_in_mid_window_ends_the_accounts_own_deliveries() -> None:
    revoking = world(b={"revoked_at_ms": T0 + 100_000})
    run = play(message(A, 0), message(B, 50), message(B, 100), message(B, 150), among=revoking)
    assert receivers(run) == ["dev-a", "dev-a"]


def test_a_revocation_of_the_first_writer_leaves_its_entry_alive() -> None:
    revoking = world(a={"revoked_at_ms": T0 + 10_000})
    run = play(message(A, 0), message(B, 50), message(A, 60), among=revoking)
    assert receivers(run) == ["dev-a", "dev-a"]


def test_a_retry_after_the_revocation_is_not_sent() -> None:
    run = play(
        message(B, 0),
        among=world(b={"revoked_at_ms": T0 + 2_000}),
        outages=(Outage("dev-b", T0, T0 + 10_000, "unavailable"),),
    )
    assert [attempt.status for attempt in run.attempts] == [503]


@pytest.mark.parametrize(
    ("signing", "signer", "verified"), [("after", "app-a", "app-a"), ("before", "app-b", None)]
)
def test_signing_before_routing_lets_the_wrong_receiver_notice(
    signing: Any, signer: str, verified: str | None
) -> None:
    late = play(message(A, 0), message(B, 1), fault=replace(ONE, signing=signing)).attempts[1]
    assert (late.received_developer, late.signing_app, late.signed_by) == ("dev-a", signer, verified)


@pytest.mark.parametrize(
    ("behaviour", "disclosure", "got"),
    [("unavailable", "confirmed", "dev-b"), ("drop", "possible", "dev-b"), ("refuse", "none", None)],
)
def test_a_failing_developer_is_tried_four_times_then_a_dead_letter(
    behaviour: Any, disclosure: str, got: str | None
) -> None:
    run = play(message(B, 0), outages=(Outage("dev-b", T0, T0 + DAY_MS, behaviour),), fault=Fault())
    assert [attempt.disclosure for attempt in run.attempts] == [disclosure] * 4
    assert receivers(run) == [got] * 4
    assert run.dead_letters == (run.attempts[0].delivery,)
    waits = [
        later.started_at_ms - earlier.ended_at_ms
        for earlier, later in zip(run.attempts, run.attempts[1:], strict=False)
    ]
    assert waits == [3_000, 27_000, 242_000]


def test_a_failed_challenge_is_recorded_with_its_reason_and_asked_again() -> None:
    run = play(outages=(Outage("dev-b", OPENED_AT_MS, OPENED_AT_MS + 1_000, "unavailable"),))
    results = [
        (result.reason is None, result.status) for result in run.challenges if result.endpoint == "wh-b"
    ]
    assert results == [(False, 503), (True, 200)]
    kinds = [record["kind"] for record in run.records if record.get("endpoint") == "wh-b"]
    assert kinds == ["endpoint.registered", "endpoint.failed", "endpoint.verified"]


def test_a_challenge_that_fails_for_28_hours_is_given_up() -> None:
    run = play(outages=(Outage("dev-b", OPENED_AT_MS, OPENED_AT_MS + 9 * DAY_MS, "unavailable"),))
    asked = [result.at_ms for result in run.challenges if result.endpoint == "wh-b"]
    assert len(asked) == 57
    assert asked[-1] - asked[0] == 28 * 3_600_000


def test_a_challenge_without_a_handshake_is_final() -> None:
    run = play(outages=(Outage("dev-b", OPENED_AT_MS, OPENED_AT_MS + DAY_MS, "refuse"),))
    assert [result.endpoint for result in run.challenges] == ["wh-a", "wh-b"]
    assert run.records[-1]["kind"] == "endpoint.failed"


@pytest.mark.parametrize("path", ["/hook?", "/hook?v=1&w=", "/hook?crc=1&v"])
def test_a_challenge_of_a_url_with_a_query_finds_its_app(path: str) -> None:
    run = play(among=world(replace(HOOK_B, path=path)))
    assert [result.reason for result in run.challenges] == [None, None]
