"""What a monitor counts, for Prometheus. Labels name logs, codes and verdicts: never a person, an app or a webhook."""

from __future__ import annotations

import time
from collections.abc import Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from ledger.errors import UsageError
from ledger.monitor.log_monitor import LogMonitor, Round


class MonitorMetrics:
    """The metrics of one process that follows logs."""

    def __init__(self, logs: Iterable[str]) -> None:
        """Nothing known yet of the logs of these names."""
        self.registry = CollectorRegistry()
        self._size = self._gauge("tree_size", "Entries that were followed.")
        self._checkpoint = self._gauge("checkpoint_size", "Entries that the last accepted checkpoint covers.")
        self._status = self._gauge(
            "exit_status", "0 clean, 1 exposures, 2 the log is broken, -1 not looked at yet."
        )
        self._looked = self._gauge(
            "last_look_seconds", "When the log was last read, whatever it showed (Unix time)."
        )
        self._grown = self._gauge(
            "last_growth_seconds", "When it last showed a larger checkpoint (Unix time)."
        )
        self._findings = self._gauge("findings", "Findings that stand.", "code", "severity")
        self._attempts = self._gauge("attempts", "Delivery attempts, by verdict.", "verdict")
        self._looks = self._counter("looks", "Looks at the log, by what came of them.", "state")
        self._lines = self._counter("lines", "Lines told about findings.")
        self._entries = self._counter("entries", "Entries read.")
        self._known: dict[str, set[tuple[str, str]]] = {}
        for log in logs:
            self._status.labels(log).set(-1)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"grantledger_monitor_{name}", text, ["log", *labels], registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"grantledger_monitor_{name}", text, ["log", *labels], registry=self.registry)

    def note(self, monitor: LogMonitor, made: Round) -> None:
        """Take what one look came to."""
        log, now_s = monitor.target.name, time.time()
        self._looks.labels(log, made.state).inc()
        self._looked.labels(log).set(now_s)
        self._size.labels(log).set(made.size)
        self._entries.labels(log).inc(max(0, made.read))
        self._lines.labels(log).inc(made.told)
        if made.state == "followed" and made.checkpoint is not None:
            self._grown.labels(log).set(now_s)
            self._checkpoint.labels(log).set(made.checkpoint.size)
        for verdict, count in made.verdicts.items():
            self._attempts.labels(log, verdict).set(count)
        self.note_findings(monitor)

    def note_findings(self, monitor: LogMonitor) -> None:
        """Take what stands about a log."""
        log = monitor.target.name
        counts = monitor.counts()
        for code, severity in self._known.get(log, set()) - counts.keys():
            self._findings.labels(log, code, severity).set(0)
        for (code, severity), count in counts.items():
            self._findings.labels(log, code, severity).set(count)
        self._known.setdefault(log, set()).update(counts)
        self._status.labels(log).set(monitor.exit_status())

    def note_failure(self, log: str) -> None:
        """A look at a log failed: nothing is known."""
        self._looks.labels(log, "failed").inc()

    def serve(self, host: str, port: int) -> WSGIServer:
        """Answer ``GET /metrics`` in the background; UsageError where the address cannot be taken."""
        try:
            server, _ = start_http_server(port, host, self.registry)
        except OSError as error:
            raise UsageError(f"metrics cannot be served at {host}:{port}: {error.strerror}") from error
        return server
