"""The fault of 2018 over real TLS: whole reenactments in every mode, judged by whose key ended each connection."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import pytest

from ledger.core.retry import RETRY_WAITS_MS
from ledger.core.strict import is_id
from ledger.errors import UsageError
from ledger.reenactment.casting import cast
from ledger.reenactment.dispatcher import FAULTS, TTL_MS, fault_named
from ledger.reenactment.run import TrafficRun, reenact_traffic
from ledger.reenactment.scale import SCALES

SEEDS = (1, 42)
FAULTY = ("ip+path", "ip", "reused-connection")


@cache
def run_of(seed: int, fault: str) -> TrafficRun:
    return reenact_traffic(seed, "small", fault)


def time_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def delivery_records(run: TrafficRun) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (record["delivery"], record["attempt"]): record
        for record in run.records
        if record["kind"] == "delivery.imported"
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_right_dispatcher_never_misdelivers(seed: int) -> None:
    run = run_of(seed, "none")
    assert len(run.attempts) > 200
    assert run.misdelivered == ()
    assert all(
        attempt.signed_by == attempt.intended_app for attempt in run.attempts if attempt.received_developer
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", FAULTY)
def test_every_fault_misdelivers_a_handful(seed: int, fault: str) -> None:
    run = run_of(seed, fault)
    assert 5 <= len(run.misdelivered) < len(run.attempts) / 4


@pytest.mark.parametrize("seed", SEEDS)
def test_each_misdelivered_event_has_the_four_published_circumstances(seed: int) -> None:
    run = run_of(seed, "ip+path")
    records = delivery_records(run)
    paths = {hook.endpoint: (hook.port, hook.path) for hook in run.world.webhooks}
    owners = {hook.endpoint: run.world.developer_of(hook) for hook in run.world.webhooks}
    for attempt in run.misdelivered:
        late = records[attempt.delivery, attempt.attempt]
        at_ms = time_of(late["started_at"])
        assert any(
            owners[early["endpoint"]] == attempt.received_developer
            and early["resolved_ip"] == late["resolved_ip"]
            and paths[early["endpoint"]] == paths[late["endpoint"]]
            and early["worker"] == late["worker"]
            and 0 <= at_ms - time_of(early["started_at"]) <= TTL_MS
            for early in records.values()
        )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["ip+path", "ip"])
def test_a_cached_destination_shows_the_others_host_name_and_key(seed: int, fault: str) -> None:
    run = run_of(seed, fault)
    records = delivery_records(run)
    for attempt in run.misdelivered:
        observed = records[attempt.delivery, attempt.attempt]["observed"]
        meant = run.world.webhook(attempt.intended_endpoint)
        assert observed["host"] == observed["sni"] == attempt.received_sni != meant.host
        assert attempt.received_host_header is not None
        assert attempt.received_host_header.startswith(observed["host"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_reused_connection_types_the_right_host_to_the_wrong_key(seed: int) -> None:
    run = run_of(seed, "reused-connection")
    for attempt in run.misdelivered:
        meant = run.world.webhook(attempt.intended_endpoint)
        assert attempt.observed.host == meant.host == (attempt.received_host_header or "").partition(":")[0]
        assert attempt.observed.sni == attempt.received_sni != meant.host
        assert attempt.signed_by is None


@pytest.mark.parametrize("fault", FAULTS)
def test_the_key_seen_by_the_sender_is_the_key_that_ended_the_connection(fault: str) -> None:
    answered = [attempt for attempt in run_of(1, fault).attempts if attempt.received_developer]
    assert answered
    assert all(attempt.observed.spki_sha256 == attempt.received_spki_sha256 for attempt in answered)


@pytest.mark.parametrize("fault", FAULTS)
def test_disclosure_agrees_with_the_receiving_logs(fault: str) -> None:
    for attempt in run_of(1, fault).attempts:
        assert (attempt.disclosure == "none") == (attempt.received_developer is None)
        assert (attempt.disclosure == "confirmed") == (attempt.status is not None)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seed_gives_the_same_run_twice(fault: str) -> None:
    again = reenact_traffic(1, "small", fault)
    assert again.records == run_of(1, fault).records
    assert again.attempts == run_of(1, fault).attempts
    assert again.challenges == run_of(1, fault).challenges


def test_another_seed_gives_other_records() -> None:
    assert run_of(1, "none").records != run_of(42, "none").records


def test_traffic_holds_retries_replays_and_dead_letters() -> None:
    attempts = run_of(1, "none").attempts
    assert any(attempt.attempt > 1 for attempt in attempts)
    assert any(attempt.is_replay for attempt in attempts)
    assert max(attempt.attempt for attempt in attempts) <= len(RETRY_WAITS_MS) + 1


@pytest.mark.parametrize("fault", FAULTS)
def test_records_come_in_the_order_in_which_they_happened(fault: str) -> None:
    times = [
        time_of(record["at"] if "at" in record else record["started_at"])
        for record in run_of(1, fault).records
    ]
    assert times == sorted(times)


def test_every_webhook_is_verified_with_its_address_before_anything_is_delivered() -> None:
    run = run_of(1, "ip+path")
    kinds = [record["kind"] for record in run.records]
    before = run.records[: kinds.index("delivery.imported")]
    verified = {record["endpoint"] for record in before if record["kind"] == "endpoint.verified"}
    assert verified == {hook.endpoint for hook in run.world.webhooks}
    assert all(record["addresses"] for record in before if record["kind"] == "endpoint.verified")


def test_ids_in_records_are_ledger_ids() -> None:
    for record in run_of(1, "ip+path").records:
        for name in (
            "developer",
            "app",
            "endpoint",
            "environment",
            "grant",
            "account",
            "delivery",
            "event",
            "worker",
        ):
            assert is_id(record.get(name, "x"))
        assert all(is_id(subject) for subject in record.get("subjects", []))
        assert record.get("account") not in record.get("subjects", [])


def test_no_account_grants_two_developers_that_ever_share_an_address() -> None:
    for name in SCALES:
        world = cast(3, SCALES[name]).world
        places: dict[str, set[str]] = {}
        for hook in world.webhooks:
            places.setdefault(world.developer_of(hook), set()).update(world.addresses_of(hook.host))
        developers: dict[str, set[str]] = {}
        for grant in world.grants:
            developers.setdefault(grant.account, set()).add(world.app(grant.app).developer)
        for granted in developers.values():
            shared = [places[developer] for developer in granted]
            assert len(set().union(*shared)) == sum(map(len, shared))


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(UsageError, match="reused-connection"):
        fault_named("ip+port")
