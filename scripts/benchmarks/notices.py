"""Notices of one incident, queued and sent to an SMTP server on this machine, which is a process of its own."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from benchmarks.logs import say
from benchmarks.measure import Measured, measured
from ledger.core.frozen_findings import ExposedDelivery
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.wiring import create_ledger
from ledger.wiring.service import Service, open_service
from tests.support.duties_world import INCIDENT, put_assessment
from tests.support.service_world import free_port

AT_ONCE = 1_000
SUBJECTS = 4
"""Other people in a delivery."""

BY = "operator:bench"


def bench_notices(options: argparse.Namespace, scratch: Path) -> tuple[int, Measured]:
    """``--entries`` people, each with an e-mail address: how many notices (an inbox and an e-mail each) a second."""
    port = free_port()
    environment = {
        "GRANTLEDGER_DB": str(scratch / "ledger.db"),
        "GRANTLEDGER_KEY_FILE": str(scratch / "operator.key"),
        "GRANTLEDGER_LOG_KEY_FILE": str(scratch / "log.key"),
        "GRANTLEDGER_CHECKPOINT_FILE": str(scratch / "checkpoint"),
        "GRANTLEDGER_STATE_DIR": str(scratch / "state"),
        "GRANTLEDGER_SMTP_URL": f"smtp+insecure://127.0.0.1:{port}",
        "GRANTLEDGER_MAIL_FROM": "notices@ledger.example",
    }
    settings = load_settings(environment)
    create_ledger(settings, "ledger.example/bench")
    with _server(port) as arrived, open_service(settings, load_service_settings(environment)) as service:
        say("making the people and the incident first (not measured) ...")
        _prepare(service, options.entries)
        with measured() as result:
            started = time.perf_counter()
            queued = service.duties.notices.queue(INCIDENT, actor=BY).queued
            queued_s = time.perf_counter() - started
            sent = service.duties.sender.run_once().sent
        emails = arrived.value
    assert sent == queued == 2 * options.entries, (sent, queued)
    assert emails == options.entries, emails
    sending_s = result.seconds - queued_s
    result.facts |= {
        "queue_per_second": round(queued / queued_s),
        "emails_sent_per_second": round(emails / sending_s),
        "emails_queued_and_sent_per_second": round(emails / result.seconds),
        "emails_arrived": emails,
    }
    return queued, result


def _prepare(service: Service, people: int) -> None:
    tags: list[str] = []
    for start in range(0, people, AT_ONCE):
        ids = [str(7_000_000 + number) for number in range(start, min(start + AT_ONCE, people))]
        subjects, drafts = service.people.meet(ids)
        service.ledger.sequencer.append_many(drafts)
        for account_id, subject in subjects.items():
            service.duties.contacts.set_email(subject, f"u{account_id}@a.example")
            tags.append(subject.tag)
    exposed = [
        ExposedDelivery(
            position=place,
            delivery=f"d-{place}",
            attempt=1,
            code="WRONG_DEVELOPER",
            verdict="UNAUTHORIZED",
            evidence="definite",
            account=tags[first],
            subjects=tuple(sorted(tags[first + 1 : first + 1 + SUBJECTS])),
            developer="dev-a",
            received_by="dev-b",
            candidates=(),
            app="app-a",
            endpoint="wh-a",
            event_type="direct_message_events",
            private=True,
            started_at_ms=1_500_000_000_000 + place,
            seqs=(place,),
        )
        for place, first in enumerate(range(0, people, SUBJECTS + 1))
    ]
    put_assessment(service, _incidents(service), exposed, service.clock.now_ms())


def _incidents(service: Service) -> Any:
    from ledger.store.incidents import SqlIncidents

    return SqlIncidents(service.ledger.engine)


@contextmanager
def _server(port: int) -> Iterator[Any]:
    """An SMTP server in a process of its own; counts what arrives."""
    context = multiprocessing.get_context("spawn")
    arrived, ready, done = context.Value("q", 0), context.Event(), context.Event()
    process = context.Process(target=_serve, args=(port, arrived, ready, done), daemon=True)
    process.start()
    assert ready.wait(30), "the SMTP server did not begin"
    try:
        yield arrived
    finally:
        done.set()
        process.join(10)


def _serve(port: int, arrived: Any, ready: Event, done: Event) -> None:
    from aiosmtpd.controller import Controller

    class Counting:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            with arrived.get_lock():
                arrived.value += len(envelope.rcpt_tos)
            return "250 OK"

    controller = Controller(Counting(), hostname="127.0.0.1", port=port)
    controller.start()
    ready.set()
    while not done.wait(1.0):
        if os.getppid() == 1:
            break
    controller.stop()
