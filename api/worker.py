"""What runs beside HTTP: dispatching, sealing, rescuing, challenges, replays, auditing; and its clean start and stop.

Roles split it over processes (``--role``): ``api`` answers HTTP, ``dispatch`` delivers, rescues, replays and challenges,
``seal`` seals, ``audit`` verifies. Every role takes in what the other processes append, a few times a second, so that a
revocation recorded by one calls off the permits of another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Literal

import structlog

from api.auditing import Auditor
from api.live_audit import LiveAudit
from api.loops import Loop
from api.metrics import Metrics
from api.service import Service

Role = Literal["api", "dispatch", "seal", "audit"]
ROLES: tuple[Role, ...] = ("api", "dispatch", "seal", "audit")

CATCH_UP_SECONDS = 0.2
PRESENCE_SECONDS = 0.2
"""How soon a process whose connection to the database was lost says again that it sends."""
RESCUE_SECONDS = 10.0
CHALLENGE_SECONDS = 15.0
REPLAY_SECONDS = 0.5
EXPIRY_SECONDS = 300.0
NOTICE_SECONDS = 1.0
OBLIGATION_SECONDS = 5.0
DEADLINE_SECONDS = 30.0
PRIVACY_SECONDS = 60.0
FOLLOW_PAUSE_SECONDS = 0.01
"""Between two lines of the process that follows the log, which keeps its own time."""
EXPIRED_AT_ONCE = 1_000
NOTES_KEPT_DAYS = 90
"""How long developers see what became of an attempt; the log keeps it for ever."""
TOKENS_KEPT_DAYS = 30
"""How long a token that has ended is kept, so that whoever presents it is told that it has."""
STOP_SECONDS = 15.0

_DAY_MS = 86_400_000

log = structlog.get_logger()


class Worker:
    """The background work of one process with ``roles``."""

    def __init__(self, service: Service, metrics: Metrics, roles: Collection[Role]) -> None:
        self._service = service
        self._stop = threading.Event()
        self._dispatching: threading.Thread | None = None
        settings = service.settings
        sequencer = service.ledger.sequencer
        self.loops = [Loop("catch-up", sequencer.catch_up, CATCH_UP_SECONDS, metrics)]
        if service.presence is not None and {"api", "dispatch"} & set(roles):
            self.loops.append(Loop("presence", service.presence.enter, PRESENCE_SECONDS, metrics))
        if "dispatch" in roles:
            service.on_outcome = metrics.note_attempt
            self._dispatching = threading.Thread(target=self._dispatch, name="dispatch", daemon=True)
            self.loops += [
                Loop("rescue", service.rescuer.run_once, RESCUE_SECONDS, metrics),
                Loop("challenges", service.challenges.run_due, CHALLENGE_SECONDS, metrics),
                Loop("replays", service.replays.run_once, REPLAY_SECONDS, metrics),
                Loop("expiry", self._expire, EXPIRY_SECONDS, metrics),
                Loop("notices", service.duties.send_once, NOTICE_SECONDS, metrics),
                Loop("privacy", service.privacy.run_once, PRIVACY_SECONDS, metrics),
            ]
        if "seal" in roles:
            self.loops.append(Loop("seal", service.ledger.sealer.seal, settings.seal_seconds, metrics))
        if "audit" in roles:
            self.loops.append(Loop("deadlines", service.incidents.watch.run_once, DEADLINE_SECONDS, metrics))
            self.loops.append(Loop("obligations", service.duties.watch_once, OBLIGATION_SECONDS, metrics))
        if "audit" in roles and settings.audit_seconds:
            auditor = Auditor(service.ledger.settings.database_url, metrics)
            self.loops.append(Loop("audit", auditor.audit, settings.audit_seconds, metrics))
        self._live: LiveAudit | None = None
        if "audit" in roles and settings.follow_seconds:
            self._live = LiveAudit(
                service.ledger.settings, settings.follow_seconds, metrics, self._verify_now
            )
            self.loops.append(Loop("follow", self._live.follow, FOLLOW_PAUSE_SECONDS, metrics))

    def start(self) -> None:
        """Start everything."""
        for loop in self.loops:
            loop.start()
        if self._dispatching is not None:
            self._dispatching.start()
        log.info(
            "worker.started", loops=[loop.name for loop in self.loops], dispatching=bool(self._dispatching)
        )

    def stop(self) -> bool:
        """Finish what has begun and stop; whether everything ended in time."""
        self._stop.set()
        self._service.something_new.set()
        if self._dispatching is not None:
            self._service.duties.sender.stop()
        for loop in self.loops:
            loop.stop()
        if self._live is not None:
            self._live.close()
        deadline_s = time.monotonic() + STOP_SECONDS
        if self._dispatching is not None and self._dispatching.is_alive():
            self._dispatching.join(STOP_SECONDS)
        ended = [loop.join(max(0.0, deadline_s - time.monotonic())) for loop in self.loops]
        is_clean = all(ended) and not (self._dispatching is not None and self._dispatching.is_alive())
        log.info("worker.stopped", is_clean=is_clean)
        return is_clean

    def problems(self) -> list[str]:
        """What keeps this process from doing its work, for ``/readyz``."""
        found = [f"{loop.name} fails" for loop in self.loops if loop.failed_in_a_row >= 3]
        if self._dispatching is not None and not self._dispatching.is_alive():
            found.append("nothing is dispatched")
        return found

    def _verify_now(self) -> None:
        """Something is wrong with the log itself: the whole of it is verified at once."""
        for loop in self.loops:
            if loop.name == "audit":
                loop.wake()

    def _dispatch(self) -> None:
        self._service.dispatcher.run(self._stop)

    def _expire(self) -> None:
        """Forget what is too old to be sent, replayed or asked about."""
        service = self._service
        now_ms = service.clock.now_ms()
        before_ms = now_ms - service.settings.retention_days * _DAY_MS
        for expire, until_ms in (
            (service.outbox.expire, before_ms),
            (service.outbox.expire_notes, now_ms - NOTES_KEPT_DAYS * _DAY_MS),
            (service.credentials.expire, now_ms - TOKENS_KEPT_DAYS * _DAY_MS),
        ):
            while not self._stop.is_set() and expire(until_ms, EXPIRED_AT_ONCE) >= EXPIRED_AT_ONCE:
                pass
