"""What a running process counts, for Prometheus. No label names a person, an app or a webhook."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.service import Service
from ledger.errors import LedgerError
from ledger.ports.outbox import AttemptNote

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)


class Followed:
    """What is known of the log from judging it as it grows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.findings = Gauge(
            "grantledger_findings",
            "Findings that stand about what was followed of the log as it grows, by code.",
            ["code", "severity"],
            registry=registry,
        )
        self.size = Gauge(
            "grantledger_followed_size", "Entries that were judged as they came in.", registry=registry
        )
        self.last = Gauge(
            "grantledger_followed_last_seconds",
            "When the log was last judged to its end (Unix time).",
            registry=registry,
        )


class Metrics:
    """The counters of one process."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "grantledger_attempts",
            "Delivery attempts, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "grantledger_refusals",
            "Attempts that the gate refused, by code.",
            ["code"],
            registry=self.registry,
        )
        self.attempt_seconds = Histogram(
            "grantledger_attempt_seconds",
            "Time from the request's beginning to its end.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.requests = Counter(
            "grantledger_http_requests",
            "HTTP requests, by route.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "grantledger_http_request_seconds",
            "Time to answer, by route.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.loop_failures = Counter(
            "grantledger_loop_failures",
            "Runs of a background loop that failed.",
            ["loop"],
            registry=self.registry,
        )
        self.loop_last = Gauge(
            "grantledger_loop_last_success_seconds",
            "When a background loop last ran well (Unix time).",
            ["loop"],
            registry=self.registry,
        )
        self.audit_status = Gauge(
            "grantledger_audit_exit_status",
            "Exit status of the last verification: 0 clean, 1 exposures, 2 the ledger is broken, -1 none yet.",
            registry=self.registry,
        )
        self.audit_status.set(-1)
        self.findings = Gauge(
            "grantledger_audit_findings",
            "Findings of the last verification, by severity.",
            ["severity"],
            registry=self.registry,
        )
        self.followed = Followed(self.registry)
        self.audited_size = Gauge(
            "grantledger_audit_tree_size",
            "Entries that the last verification covered.",
            registry=self.registry,
        )
        self.registry.register(_State(service))

    def note_attempt(self, note: AttemptNote) -> None:
        """Count an attempt."""
        self.attempts.labels(note.outcome).inc()
        if note.outcome == "refused":
            self.refusals.labels(note.reason or "unknown").inc()
        elif note.duration_ms is not None:
            self.attempt_seconds.observe(note.duration_ms / 1000)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class _State(Collector):
    """What is looked up when somebody asks: how long the log is, and what waits."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The state now; what cannot be read is left out, which an alert on its absence notices."""
        for look in (self._log, self._witnesses, self._waiting):
            try:
                yield from look()
            except LedgerError:
                continue

    def _log(self) -> list[GaugeMetricFamily]:
        published = self._service.ledger.load_published()
        sealed_size = 0 if published is None else published.checkpoint.size
        return [
            GaugeMetricFamily(
                "grantledger_log_size", "Durable entries.", value=self._service.ledger.store.size()
            ),
            GaugeMetricFamily(
                "grantledger_sealed_size", "Entries that the published checkpoint covers.", value=sealed_size
            ),
        ]

    def _witnesses(self) -> list[GaugeMetricFamily]:
        """Nothing where no policy asks for witnesses, or another process seals; they go by their names in the policy."""
        are_well = GaugeMetricFamily(
            "grantledger_witness_ok", "Whether a witness cosigned when it was asked last.", labels=["witness"]
        )
        times = GaugeMetricFamily(
            "grantledger_witness_cosigned_seconds",
            "When a witness cosigned last (Unix time).",
            labels=["witness"],
        )
        standings = [one for one in self._service.ledger.witness_standings() if one.state != "unknown"]
        for standing in standings:
            are_well.add_metric([standing.name], standing.state == "cosigned")
            times.add_metric([standing.name], standing.cosigned_at_ms / 1000)
        return [are_well, times] if standings else []

    def _waiting(self) -> list[GaugeMetricFamily]:
        count, late_ms = self._service.outbox.count_waiting(self._service.clock.now_ms())
        return [
            GaugeMetricFamily(
                "grantledger_parcels_waiting", "Deliveries that wait for an attempt.", value=count
            ),
            GaugeMetricFamily(
                "grantledger_parcels_late_seconds",
                "How long the delivery that is due the longest has been due.",
                value=late_ms / 1000,
            ),
        ]

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: asking costs a look at the database, and registering must not."""
        return iter(())


class RequestMetrics:
    """Counts requests by the route that took them: its template, never the path, which holds ids."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count it when its answer has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.requests.labels(scope["method"], route, str(message["status"])).inc()
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started_s)
            await send(message)

        await self._app(scope, receive, count)
