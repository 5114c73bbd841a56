"""``grantledger serve`` as a process: start, readiness, roles, and its clean stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.callers import Caller
from tests.support.cli_process import ROOT
from tests.support.service_world import ServiceWorld, free_port, payload, wait_for


@contextmanager
def serving(
    world: ServiceWorld, *arguments: str, port: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command, until the end of the block; killed where it did not end by itself."""
    log = (world.directory / f"serve-{port}.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "ledger.cli", "serve", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            **world.environment,
            **({"GRANTLEDGER_LISTEN": f"127.0.0.1:{port}"} if port else {}),
        },
        stdout=subprocess.PIPE,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def listening(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    document: dict[str, Any] = json.loads(process.stdout.readline())
    return str(document["listening"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        yield made


def key_of(world: ServiceWorld) -> str:
    return Caller.new(world).key("platform").text


def hand_in(base: str, key: str, event: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{base}/v1/events", json=event, headers={"Authorization": f"Bearer {key}"}, timeout=30)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_delivers_and_stops_cleanly_when_asked(world: ServiceWorld, stop: signal.Signals) -> None:
    app, account = world.new_app(), world.new_account()
    world.subscribe(app, world.new_webhook(app), account)
    key = key_of(world)
    with serving(world, "--json") as process:
        base = listening(process)
        wait_for(lambda: httpx.get(f"{base}/readyz").status_code == 200)
        assert hand_in(base, key, payload("direct_message_events")).status_code == 202
        wait_for(lambda: world.arrivals.all)
        assert b'outcome="delivered"} 1.0' in httpx.get(f"{base}/metrics").content
        process.send_signal(stop)
        assert process.wait(30) == 0
    assert world.arrivals.all[0].is_signed
    assert world.verify().exit_status == 0


def test_of_two_whole_processes_on_one_database_each_waits_for_the_permits_of_the_other(
    world: ServiceWorld,
) -> None:
    platform = key_of(world)

    def revoke(base: str, number: int) -> float:
        """Hand in a restriction of a developer that nobody has permits of; how long the answer took."""
        developer = f"dev-{number}"
        records = [
            {"kind": "developer.registered", "developer": developer, "at": 1_500_000_000_000},
            {"kind": "developer.suspended", "developer": developer, "at": 1_500_000_000_001},
        ]
        began_s = time.monotonic()
        answer = httpx.post(
            f"{base}/v1/records",
            json=records,
            headers={"Authorization": f"Bearer {platform}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert {one["status"] for one in answer.json()["results"]} == {"appended"}
        return time.monotonic() - began_s

    with serving(world, "--json", port=free_port()) as first:
        bases = [listening(first)]
        # The machine may be busy, so the shortest of several.
        assert min(revoke(bases[0], number) for number in range(5)) < 1.0
        with serving(world, "--json", port=free_port()) as second:
            bases.append(listening(second))
            assert all(revoke(base, 10 + number) >= 1.0 for number, base in enumerate(bases))
        assert min(revoke(bases[0], 20 + number) for number in range(5)) < 1.0


def test_roles_in_processes_of_their_own_share_the_work(world: ServiceWorld) -> None:
    app, account = world.new_app(), world.new_account()
    subscription = world.subscribe(app, world.new_webhook(app), account)
    key = key_of(world)
    with (
        serving(world, "--json", "--role", "api", port=free_port()) as web,
        serving(world, "--json", "--role", "dispatch", "--role", "seal", port=free_port()) as back,
    ):
        base = listening(web)
        listening(back)
        assert hand_in(base, key, payload("direct_message_events")).status_code == 202
        wait_for(lambda: world.arrivals.all)
        world.service.subscriptions.unsubscribe(
            subscription, by=f"account:{account.tag}", channel="dashboard"
        )
        assert hand_in(base, key, payload("favorite_events")).status_code == 202
        wait_for(lambda: world.service.outbox.count_waiting(world.service.clock.now_ms())[0] == 0)
        for process in (web, back):
            process.terminate()
            assert process.wait(30) == 0
    assert len(world.arrivals.all) == 1
    assert world.verify().exit_status == 0


def test_after_a_kill_nothing_is_lost_and_every_attempt_is_settled(world: ServiceWorld) -> None:
    app, account = world.new_app(), world.new_account()
    world.subscribe(app, world.new_webhook(app), account)
    key = key_of(world)
    names = ["direct_message_events", "favorite_events", "follow_events", "mute_events", "block_events"]
    with serving(world, "--json") as process:
        base = listening(process)
        for name in names:
            assert hand_in(base, key, payload(name)).status_code == 202
        wait_for(lambda: world.arrivals.all)
        process.kill()
        process.wait()
    with serving(world, "--json", port=free_port()) as process:
        listening(process)
        wait_for(lambda: len({one.delivery for one in world.arrivals.all}) == len(names), 120)
        process.terminate()
        assert process.wait(30) == 0
    assert world.verify(unsettled_max=0).exit_status == 0


def test_an_address_that_is_taken_is_a_clear_error(world: ServiceWorld) -> None:
    with serving(world, "--json", port=world.receiving.port) as process:
        assert process.wait(30) == 3


def test_a_role_that_there_is_none_of_is_a_clear_error(world: ServiceWorld) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ledger.cli", "serve", "--role", "everything"],
        cwd=ROOT,
        env={**os.environ, **world.environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 3
    assert b"is no role" in done.stderr
