"""A ledger with history from files, verified, and the desk that opens incidents from it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from ledger.core import canonical
from ledger.incidents.incidents import Evidence, IncidentDesk
from ledger.ingest.sources import open_source
from ledger.service_settings import load_service_settings
from ledger.settings import load_settings
from ledger.store.incidents import SqlIncidents
from ledger.verifying import Asked, run_verification
from ledger.verifying import open_source as open_log
from ledger.wiring import SYSTEM_RANDOMNESS, create_ledger
from ledger.wiring.incidents import IncidentParts
from ledger.wiring.service import Service, open_service

ORIGIN = "ledger.example/incidents"
START_MS = 1_496_325_600_000
NOW_MS = 1_536_537_600_000
BY = "operator:eve"

Record = Mapping[str, Any]


class StandingClock:
    """A clock that stands until somebody moves it."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


def parties(*names: str) -> list[Record]:
    """Developers ``dev-<name>``, each with an app and an endpoint."""
    found: list[Record] = []
    for name in names:
        at = {"at": "2017-05-01T00:00:00Z"}
        found += [
            {"kind": "developer.registered", "developer": f"dev-{name}", **at},
            {"kind": "app.registered", "app": f"app-{name}", "developer": f"dev-{name}", **at},
            {
                "kind": "endpoint.registered", "endpoint": f"wh-{name}", "app": f"app-{name}",
                "environment": "prod", "url": f"https://{name}.example/hook", **at,
            },
        ]  # fmt: skip
    return found


def grant(number: int, account: str, developer: str = "a", **more: Any) -> Record:
    return {
        "kind": "grant.issued", "grant": f"g-{number}", "account": account, "developer": f"dev-{developer}",
        "app": f"app-{developer}", "environment": "prod", "scopes": ["posts", "direct_messages"],
        "at": "2017-05-02T00:00:00Z", **more,
    }  # fmt: skip


def delivery(number: int, account: str, *, host: str | None = "a", meant: str = "a", **more: Any) -> Record:
    """A delivery meant for the developer ``meant`` that was seen at ``host``; nobody saw where, with None."""
    seen = {} if host is None else {
        "observed": {"host": f"{host}.example", "sni": f"{host}.example", "port": 443, "path": "/hook"}
    }  # fmt: skip
    return {
        "kind": "delivery.imported", "delivery": f"d-{number}", "event": f"e-{number}",
        "event_type": "direct_message_events", "account": account, "subjects": [f"9{account}"], "private": True,
        "endpoint": f"wh-{meant}", "attempt": 1, "started_at": START_MS + number * 1_000, "status": 200,
        "disclosure": "confirmed", **seen, **more,
    }  # fmt: skip


class IncidentWorld:
    """A ledger in ``directory``, or in the empty database ``database``; close it, or use ``with``."""

    def __init__(self, directory: Path, records: Iterable[Record] = (), database: str | None = None) -> None:
        self.directory = directory
        environment = {
            "GRANTLEDGER_DB": database or str(directory / "ledger.db"),
            "GRANTLEDGER_KEY_FILE": str(directory / "operator.key"),
            "GRANTLEDGER_LOG_KEY_FILE": str(directory / "log.key"),
            "GRANTLEDGER_CHECKPOINT_FILE": str(directory / "checkpoint"),
            "GRANTLEDGER_STATE_DIR": str(directory / "state"),
        }
        self.clock = StandingClock()
        self.settings = load_settings(environment)
        self.service_settings = load_service_settings(environment)
        create_ledger(self.settings, ORIGIN, clock=self.clock)
        self.service: Service = self.open()
        self.add(records)

    def open(self) -> Service:
        """Another process on the same ledger."""
        return open_service(
            self.settings, self.service_settings, clock=self.clock, randomness=SYSTEM_RANDOMNESS
        )

    def restart(self) -> None:
        """Close the service and open it again."""
        self.service.close()
        self.service = self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.service.close()

    @property
    def parts(self) -> IncidentParts:
        return self.service.incidents

    @property
    def desk(self) -> IncidentDesk:
        return self.service.incidents.desk

    @property
    def book(self) -> SqlIncidents:
        return self.service.incidents.book

    def add(self, records: Iterable[Record]) -> None:
        """Import ``records``; all of them go in."""
        lines = "".join(json.dumps(one) + "\n" for one in records).encode()
        if lines:
            path = self.directory / "records.jsonl"
            path.write_bytes(lines)
            report = self.service.ledger.import_from(open_source(str(path), io.BytesIO()))
            assert report.rejected == 0, report

    def evidence(self, **more: Any) -> Evidence:
        """A verification of the log as it is."""
        asked = Asked(engine="scalar", with_index=False, remember=False)
        source = open_log(self.settings, asked)
        verified = run_verification(self.settings, asked, lambda *_: None, source=source)
        return Evidence(verified, source, **more)

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        store = self.service.ledger.store
        members = (canonical.decode(row.data) for row in store.fetch_range(0, store.size()))
        return [each for each in members if each["kind"] in kinds or not kinds]
