"""``scripts/bench deliver``: events through the whole service, to receivers over TLS, for a while (delivery protocol, 3.5).

Three processes and this one: ``grantledger serve`` as an operator would start it, the receivers, and a platform that hands
in events over HTTP, no faster than the outbox empties. Each delivery is asked of the gate, appended, sent with its
signatures and ticket on a kept-alive TLS connection, and settled. At the end the ledger is verified by its own verifier:
every delivery that arrived has its two entries, and nothing that was accepted is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.logs import new_database, say
from benchmarks.measure import measured
from ledger.ports.credentials import ApiKey
from ledger.receiver.certificates import CA_FILE, make_certificate
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.wiring import SYSTEM_RANDOMNESS, create_ledger
from ledger.wiring.service import open_service

BODY_BYTES = 2_000
BATCH_EVENTS = 100
AHEAD_EVENTS = 2_000
"""How many accepted events may wait: enough that the dispatcher never does."""
WEBHOOKS = 16
ACCOUNTS = 200
HANG_PREFIX = "hang"
DRAIN_SECONDS = 60.0


@dataclass
class Place:
    """Where everything of one measurement is."""

    directory: Path
    environment: dict[str, str]
    port: int
    receiver_port: int
    api_key: str
    consumer_secrets: list[str]
    accounts: dict[str, list[str]]
    """The accounts of each host."""


def bench_deliver(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Deliveries a second over ``options.seconds``; with ``options.hanging`` then as long again while some hang."""
    with new_database(scratch, options.database) as url:
        place = _prepare(scratch, url, hanging=options.hanging)
        with measured() as result, _running(place), _clients(place) as (service, receivers):
            feed = Feed(place, service, receivers)
            begun = int(time.time())
            feed.run(options.seconds + 2)
            turned = int(time.time())
            if options.hanging:
                receivers.get("/hang").raise_for_status()
                feed.run(options.seconds + 2)
            ended = int(time.time())
            counts = _drain(receivers, feed)
    rates = _by_second(counts, steady_only=bool(options.hanging))
    whole = [rates.get(second, 0) for second in range(begun + 2, turned)]
    report = _verify(place)
    result.facts |= {
        "per_second_median": sorted(whole)[len(whole) // 2],
        "per_second_least": min(whole),
        "handed_in": feed.number,
        "handed_in_for_those_that_answer": feed.steady,
        "of_them_arrived": _steady_arrived(counts),
        "distinct": counts["distinct"],
        "wrongly_signed": counts["unsigned"],
        "verify_exit_status": report["exit_status"],
        "attempts_judged": sum(report["counts"].values()),
        "tree_size": report["tree_size"],
    }
    what = f"ledgered deliveries over {len(whole)} s, {options.database}"
    if options.hanging:
        what += f", to {WEBHOOKS} of {WEBHOOKS + options.hanging} receivers"
        during = [rates.get(second, 0) for second in range(turned + 2, ended)]
        mean, mean_during = sum(whole) / len(whole), sum(during) / len(during)
        result.facts |= {
            f"per_second_while_{options.hanging}_hang": round(mean_during),
            "seconds_while_they_hang": len(during),
            "lost_percent": round(100 * (1 - mean_during / mean), 1),
        }
    return {
        "what": what,
        "count": sum(whole),
        "seconds": len(whole),
        "per_second": round(sum(whole) / len(whole)),
        "microseconds_each": round(1e6 * len(whole) / max(1, sum(whole)), 1),
        "peak_mib": result.peak_mib,
        **result.facts,
    }


def _by_second(counts: dict[str, Any], *, steady_only: bool) -> Counter[int]:
    """Arrivals by second, by request of those hosts only that always answer."""
    by_second: Counter[int] = Counter()
    for host, second, count in counts["arrived"]:
        if not (steady_only and host.startswith(HANG_PREFIX)):
            by_second[second] += count
    return by_second


def _steady_arrived(counts: dict[str, Any]) -> int:
    return sum(_by_second(counts, steady_only=True).values())


def _prepare(scratch: Path, url: str, hanging: int) -> Place:
    """A ledger with developers, webhooks and subscriptions, made by the product's own parts."""
    hosts = [f"hook{number}.example" for number in range(WEBHOOKS)]
    hosts += [f"{HANG_PREFIX}{number}.example" for number in range(hanging)]
    make_certificate(scratch / "receiver", hosts, SYSTEM_RANDOMNESS)
    receiver_port, port = _free_port(), _free_port()
    environment = {
        "GRANTLEDGER_DB": url,
        "GRANTLEDGER_KEY_FILE": str(scratch / "keys" / "operator.key"),
        "GRANTLEDGER_LOG_KEY_FILE": str(scratch / "keys" / "log.key"),
        "GRANTLEDGER_CHECKPOINT_FILE": str(scratch / "checkpoint"),
        "GRANTLEDGER_STATE_DIR": str(scratch / "state"),
        "GRANTLEDGER_LISTEN": f"127.0.0.1:{port}",
        "GRANTLEDGER_TRUSTED_CA": str(scratch / "receiver" / CA_FILE),
        "GRANTLEDGER_HOST_OVERRIDES": ",".join(f"{host}=127.0.0.1:{receiver_port}" for host in hosts),
        "GRANTLEDGER_AUDIT_SECONDS": "0",
    }
    settings = load_settings(environment)
    create_ledger(settings, "ledger.example/bench")
    accounts: dict[str, list[str]] = {}
    consumer_secrets = []
    with open_service(settings, load_service_settings(environment)) as service:
        apps = []
        for host in hosts:
            developer = service.parties.create_developer(f"Developer of {host}")
            made = service.parties.create_app(developer.developer, f"App of {host}")
            apps.append(made)
            consumer_secrets.append(made.consumer_secret)
        receiving = _start_receiver(scratch, receiver_port, consumer_secrets)
        try:
            for number, (host, made) in enumerate(zip(hosts, apps, strict=True)):
                webhook = service.webhooks.register(made.app, "prod", f"https://{host}/webhooks/{number}")
                accounts[host] = [str(10_000_000 + number * ACCOUNTS + one) for one in range(ACCOUNTS)]
                for account in accounts[host]:
                    service.subscriptions.subscribe(
                        made.app, webhook, service.parties.create_account(account), ["all"], None
                    )
        finally:
            receiving.terminate()
            receiving.wait()
        secret = secrets.token_urlsafe(32)
        api_key = _add_key(service, secret)
    return Place(scratch, environment, port, receiver_port, api_key, consumer_secrets, accounts)


def _add_key(service: Any, secret: str) -> str:
    import hashlib

    key = ApiKey(
        key="bench",
        secret_hash=hashlib.sha256(secret.encode()).digest(),
        role="platform",
        subject="",
        name="bench",
        created_at_ms=service.clock.now_ms(),
    )
    service.credentials.add_key(key)
    return f"glk_bench_{secret}"


def _start_receiver(scratch: Path, port: int, consumer_secrets: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.receiving",
            str(scratch / "receiver"),
            str(port),
            *consumer_secrets,
        ]
    )
    _wait_for_port(port)
    return process


@contextmanager
def _running(place: Place) -> Iterator[None]:
    """The receivers and the service, each in a process of its own."""
    receiving = _start_receiver(place.directory, place.receiver_port, place.consumer_secrets)
    log = (place.directory / "serve.log").open("wb")
    service = subprocess.Popen(
        [sys.executable, "-m", "ledger.cli", "serve", "--quiet"],
        env={**os.environ, **place.environment},
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    is_over = False
    try:
        _wait_for_port(place.port)
        yield
        is_over = True
    finally:
        service.terminate()
        status = service.wait(30)
        # Some of its answers never come.
        receiving.kill()
        receiving.wait()
        log.close()
        if status != 0 or not is_over:
            say((place.directory / "serve.log").read_text()[-2_000:])
    if status != 0:
        raise SystemExit(f"the service did not end cleanly (exit {status})")


class Feed:
    """Hands in events for all receivers in turn, so many ahead of what arrived at those that always answer."""

    def __init__(self, place: Place, service: httpx.Client, receivers: httpx.Client) -> None:
        self._place = place
        self._service = service
        self._receivers = receivers
        self._hosts = list(place.accounts)
        self._text = "x" * (BODY_BYTES - 700)
        self.number = 0
        """Events handed in."""
        self.steady = 0
        """Those of them for receivers that always answer; each becomes one parcel."""

    def run(self, seconds: float) -> None:
        """Hand in events for ``seconds``."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            events = [self._next() for _ in range(BATCH_EVENTS)]
            answer = self._service.post("/v1/events", content=json.dumps(events))
            answer.raise_for_status()
            # Nothing is asked of the service for this: what arrived, the receivers know. Parcels for those that hang would
            # fill any bound.
            while self.steady - _steady_arrived(_arrived(self._receivers)) > AHEAD_EVENTS:
                time.sleep(0.05)

    def _next(self) -> dict[str, Any]:
        host = self._hosts[self.number % len(self._hosts)]
        accounts = self._place.accounts[host]
        account = accounts[self.number // len(self._hosts) % len(accounts)]
        event = _payload(account, self.number, self._text)
        self.number += 1
        self.steady += not host.startswith(HANG_PREFIX)
        return event


@contextmanager
def _clients(place: Place) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A platform's client of the service, and one of the receivers."""
    context = ssl.create_default_context(cafile=str(place.directory / "receiver" / CA_FILE))
    context.check_hostname = False
    headers = {"Authorization": f"Bearer {place.api_key}", "Content-Type": "application/json"}
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{place.port}", headers=headers, timeout=30) as service,
        httpx.Client(base_url=f"https://127.0.0.1:{place.receiver_port}", verify=context) as receivers,
    ):
        yield service, receivers


def _arrived(receivers: httpx.Client) -> dict[str, Any]:
    counts: dict[str, Any] = receivers.get("/counts").json()
    return counts


def _payload(account: str, number: int, text: str) -> dict[str, Any]:
    message = {
        "type": "message_create",
        "id": str(900_000_000_000 + number),
        "created_timestamp": "1516403560557",
        "message_create": {
            "target": {"recipient_id": account},
            "sender_id": str(20_000_000 + number % 5_000),
            "message_data": {"text": text, "entities": {"hashtags": [], "urls": []}},
        },
    }
    return {"for_user_id": account, "direct_message_events": [message]}


def _drain(receivers: httpx.Client, feed: Feed) -> dict[str, Any]:
    """What arrived, once everything has that can."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        counts = _arrived(receivers)
        if _steady_arrived(counts) >= feed.steady or time.monotonic() > deadline:
            return counts
        time.sleep(0.5)


def _verify(place: Place) -> dict[str, Any]:
    environment = {**os.environ, **place.environment}
    base = [sys.executable, "-m", "ledger.cli"]
    subprocess.run([*base, "seal", "--quiet"], env=environment, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        [*base, "verify", "--json", "--quiet"], env=environment, check=False, stdout=subprocess.PIPE
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return {**report, "exit_status": done.returncode}


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")
