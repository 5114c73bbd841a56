"""SIGKILL of a delivering process at each step of a delivery, then another process: nothing is lost, nothing is untold."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.core.ticket import TICKET_HEADER, check_ticket
from ledger.receiver.app import Arrival
from ledger.settings import load_settings
from ledger.verifying import Asked, run_verification
from ledger.wiring.ledger import open_ledger
from tests.support.service_world import ServiceWorld, payload

ROOT = Path(__file__).resolve().parents[2]
ALLOWED, REFUSED = "direct_message_events", "favorite_events"
ARRIVED = "arrived"
LATER_MS = 90_000
"""A lease has run out by then, and an attempt that nobody settled is old enough to be settled by others."""

STEPS = [
    # Nothing has left, and the parcel waits as it was.
    ("event.accepted", 1, 1),
    ("dispatch.claimed", 1, 1),
    ("delivering.prepared", 1, 1),
    ("append.judged", 1, 1),
    ("store.append.guarded", 1, 1),
    ("store.append.inserted", 1, 1),
    # The attempt is in the log, and nothing has left: nobody uses that permit any more.
    ("store.append.committed", 1, 1),
    ("append.durable", 1, 1),
    ("append.acknowledging", 1, 1),
    ("delivering.decided", 1, 1),
    ("delivering.ended", 1, 1),
    ("delivering.entered", 1, 1),
    ("delivering.started", 1, 1),
    # The body has arrived, and the log does not know: it is told as possible, and comes once more.
    (ARRIVED, 1, 2),
    ("delivering.answered", 1, 2),
    ("append.judged", 2, 2),
    ("store.append.inserted", 2, 2),
    # The settlement is durable, and with it the parcel has gone on.
    ("store.append.committed", 2, 1),
    ("append.durable", 2, 1),
    ("append.acknowledging", 2, 1),
    ("delivering.settled", 1, 1),
]
"""Step, which time it is reached, and how often the body arrives in the end."""

STEPS_ON_A_SERVER = [
    step
    for step in STEPS
    if step[0] in ("dispatch.claimed", "store.append.inserted", "store.append.committed", ARRIVED)
]


@dataclass
class Hospital:
    """Where processes are born and die. ``victim`` is the one that is killed when a body arrives."""

    zygote: subprocess.Popen[str]
    victim: int = 0
    arrivals: list[Arrival] = field(default_factory=list)

    def on_arrival(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        if self.victim:
            # The first byte has arrived, and all others; its answer has not.
            os.kill(self.victim, signal.SIGKILL)
            self.victim = 0

    def live(
        self,
        environment: dict[str, str],
        *,
        step: str = "",
        nth: int = 1,
        later_ms: int = 0,
        events: Sequence[Any] = (),
    ) -> int:
        """Let a process deliver until nothing is left to do, or it dies at ``step``; its exit status."""
        asked = {
            "environment": environment,
            "step": step,
            "nth": nth,
            "later_ms": later_ms,
            "events": list(events),
        }
        assert self.zygote.stdin is not None
        self.zygote.stdin.write(json.dumps(asked) + "\n")
        self.zygote.stdin.flush()
        pid = self._read("pid")
        self.victim = pid if step == ARRIVED else 0
        return self._read("exit")

    def _read(self, what: str) -> int:
        assert self.zygote.stdout is not None
        name, number = self.zygote.stdout.readline().split()
        assert name == what
        return int(number)


@pytest.fixture(scope="module")
def hospital() -> Iterator[Hospital]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.deliver_child"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as zygote:
        yield Hospital(zygote)
        assert zygote.stdin is not None
        zygote.stdin.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, hospital: Hospital) -> Iterator[ServiceWorld]:
    """A ledger whose one account lets an app have its direct messages; its receiver goes on receiving."""
    directory = tmp_path_factory.mktemp("ledger")
    with ServiceWorld(directory) as world:
        prepare(world, hospital)
        yield world


def prepare(world: ServiceWorld, hospital: Hospital) -> None:
    app, account = world.new_app(), world.new_account()
    world.subscribe(app, world.new_webhook(app), account, ["direct_messages"])
    world.receiver._on_arrival = hospital.on_arrival


def events_numbered(number: int) -> list[Any]:
    """An event that the grant covers and one that it does not."""
    allowed, refused = payload(ALLOWED), payload(REFUSED)
    allowed[ALLOWED][0]["id"] = str(number)
    refused[REFUSED][0]["id"] = f"{number:032x}"
    return [allowed, refused]


def check(environment: dict[str, str], arrivals: Sequence[Arrival], events: int) -> list[dict[str, Any]]:
    """Whatever happened: everything arrived or is told, and the shipped verifier has nothing to say; the entries."""
    settings = load_settings(environment)
    with open_ledger(settings) as ledger:
        ledger.sealer.seal()
        entries = [json.loads(row.data) for row in ledger.store.fetch_range(0, ledger.store.size())]
        verifier = ledger.verifier
    report = run_verification(
        settings, Asked(engine="scalar", remember=False, unsettled_max=0), lambda *_: None
    ).report
    assert report.exit_status == 0

    attempted = {entry["seq"]: entry for entry in entries if entry["kind"] == "delivery.attempted"}
    settled: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for entry in entries:
        if entry["kind"] == "delivery.settled":
            settled.setdefault((entry["delivery"], entry["attempt"]), []).append(entry)
    assert {(one["delivery"], one["attempt"]) for one in attempted.values()} == settled.keys()
    confirmed = {
        name for (name, _), told in settled.items() if any(one["disclosure"] == "confirmed" for one in told)
    }
    refused = {entry["delivery"] for entry in entries if entry["kind"] == "delivery.refused"}
    assert len(confirmed | refused) == events, "each event was delivered or refused, in the end"

    seqs = []
    for arrival in arrivals:
        ticket = check_ticket(arrival.headers[TICKET_HEADER], [verifier])
        attempt = attempted[ticket.seq]
        assert attempt["delivery"] == arrival.delivery, "nothing arrives that no attempt in the log announced"
        told = settled[attempt["delivery"], attempt["attempt"]]
        assert {one["disclosure"] for one in told} <= {"possible", "confirmed"}, (
            "what arrived is told as that"
        )
        seqs.append(ticket.seq)
    assert len(seqs) == len(set(seqs)), "each copy has an attempt of its own"
    return entries


@pytest.mark.parametrize(("step", "nth", "copies"), STEPS, ids=[f"{step}-{nth}" for step, nth, _ in STEPS])
def test_after_a_kill_every_event_is_delivered_or_told_and_no_attempt_stays_open(
    hospital: Hospital, template: ServiceWorld, tmp_path: Path, step: str, nth: int, copies: int
) -> None:
    shutil.copytree(template.directory, tmp_path / "ledger")
    environment = {
        name: value.replace(str(template.directory), str(tmp_path / "ledger"))
        for name, value in template.environment.items()
    }
    hospital.arrivals.clear()
    status = hospital.live(environment, step=step, nth=nth, events=events_numbered(1))
    assert status == -signal.SIGKILL
    assert hospital.live(environment, later_ms=LATER_MS) == 0
    assert len(hospital.arrivals) == copies
    check(environment, hospital.arrivals, 2)


def test_on_a_database_server_a_kill_at_each_step_in_turn_loses_nothing(
    hospital: Hospital, postgresql_url: str, tmp_path: Path
) -> None:
    with ServiceWorld(tmp_path, database=postgresql_url) as world:
        prepare(world, hospital)
        hospital.arrivals.clear()
        later_ms = copies = 0
        for number, (step, nth, more) in enumerate(STEPS_ON_A_SERVER):
            status = hospital.live(
                world.environment, step=step, nth=nth, later_ms=later_ms, events=events_numbered(number + 1)
            )
            assert status == -signal.SIGKILL, step
            later_ms += LATER_MS
            assert hospital.live(world.environment, later_ms=later_ms) == 0, step
            copies += more
            assert len(hospital.arrivals) == copies, step
        check(world.environment, hospital.arrivals, 2 * len(STEPS_ON_A_SERVER))
