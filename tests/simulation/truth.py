"""What must hold whatever happened: a model of who granted what, what really arrived, and what the disk says in the end.

The model is told only of what was acknowledged, and shares nothing with the gate. Nothing here asks the service anything:
bytes are judged when they leave, everything else is read from the database and from the network's own record.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.core.scopes import mask_of, scope_of
from ledger.core.standard_webhooks import SIGNATURE_HEADER as STANDARD_SIGNATURE_HEADER
from ledger.core.ticket import TICKET_HEADER, check_ticket
from ledger.core.webhook_auth import SIGNATURE_HEADER, is_body_signature
from ledger.engines.scalar import ScalarEngine
from ledger.ports import Permit
from ledger.sequencer.seal import Sealer
from ledger.store.database_log import DatabaseLog
from ledger.store.record import FileCheckpointRecord
from ledger.wiring.index import open_index
from tests.simulation.world import APPS, HOSTS, Place, Process
from tests.support.forged_logs import verify_source
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER

PERMIT_SECONDS_MAX = 1.0
APP_OF = {host: app for app, hosts in HOSTS.items() for host in hosts}


class Broken(AssertionError):  # noqa: N818 - it is raised as a statement
    """Something happened that must never happen."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What an account has granted with one subscription, as far as it was acknowledged."""

    developer: str
    scopes: tuple[str, ...]


@dataclass
class Model:
    """Who granted what, who owns what, who is suspended; changed only by what was acknowledged."""

    granted: dict[tuple[str, str], Granted] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=lambda: dict(APPS))
    suspended: set[tuple[str, str]] = field(default_factory=set)

    def reason_against(self, account: str, host: str, event_type: str) -> str | None:
        """Why data of ``account`` must not leave for ``host``, or None."""
        app = APP_OF[host]
        owner = self.owners[app]
        for party in (("account", account), ("app", app), ("developer", owner)):
            if party in self.suspended:
                return f"{party[0]} {party[1]} is suspended"
        scope = scope_of(event_type)
        for (one, at), grant in self.granted.items():
            covers = scope is not None and mask_of(grant.scopes) & mask_of([scope])
            # What the account granted another webhook of the app is no leave to send to this one.
            if one == account and at == host and grant.developer == owner and covers:
                return None
        return f"account {account} has no live grant for {event_type} to app {app} of {owner} at {host}"


class Witness:
    """Looks at each first byte, and at everything in the end."""

    def __init__(self, place: Place, model: Model) -> None:
        self._place = place
        self._model = model
        self._used: set[int] = set()
        self._seen_s: dict[int, float] = {}

    def on_permit(self, permit: Permit) -> None:
        """Somebody is about to use ``permit``, which was made before."""
        self._seen_s[permit.seq] = self._place.clock.seconds()

    def on_byte(self, permit: Permit, host: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Judge the first byte of ``body``, which leaves for ``host`` now."""
        told = json.loads(body)
        event_type = next(name for name in told if name.endswith("_events") or name == "user_event")
        account = str(told.get("for_user_id") or told["user_event"]["revoke"]["source"]["user_id"])
        where = f"delivery {permit.delivery} attempt {permit.attempt} to {host}"
        reason = self._model.reason_against(account, host, event_type)
        if reason is not None:
            raise Broken(f"{where}: a byte left although {reason}")
        if self._place.clock.seconds() - self._seen_s.get(permit.seq, math.inf) > PERMIT_SECONDS_MAX:
            raise Broken(f"{where}: the permit lasted for longer than a second")
        if permit.seq in self._used:
            raise Broken(f"{where}: the permit {permit.seq} was used twice")
        self._used.add(permit.seq)
        if not is_body_signature(self._place.network.secrets[host], body, headers[SIGNATURE_HEADER]):
            raise Broken(f"{where}: the server at {host} does not know the key that signed the body")
        if not headers[STANDARD_SIGNATURE_HEADER].startswith("v1,"):
            raise Broken(f"{where}: no Standard Webhooks signature")
        self._check_attempt(permit, where, headers[TICKET_HEADER])

    def _check_attempt(self, permit: Permit, where: str, ticket: str) -> None:
        rows = self._query("SELECT uid, leaf_hash FROM entries WHERE seq = ?", permit.seq)
        if rows != [(f"delivery.attempted/{permit.delivery}/{permit.attempt}", permit.leaf_hash)]:
            raise Broken(f"{where}: there is no attempt in the log before the byte")
        checked = check_ticket(ticket, [VERIFIER])
        if (checked.seq, checked.leaf_hash) != (permit.seq, permit.leaf_hash):
            raise Broken(f"{where}: the ticket is another's")

    def check_end(self, process: Process, accepted: Mapping[str, int]) -> None:
        """Judge what is on the disk once nothing is left to do; ``accepted`` events with their numbers of parcels."""
        entries = [json.loads(row[0]) for row in self._query("SELECT data FROM entries ORDER BY seq")]
        attempted = _by_attempt(entries, "delivery.attempted")
        settled = _by_attempt(entries, "delivery.settled")
        refused = _by_attempt(entries, "delivery.refused")
        if open_attempts := attempted.keys() - settled.keys():
            raise Broken(f"attempts that nobody settled: {sorted(open_attempts)}")
        self._check_parcels(accepted, settled, refused)
        self._check_arrived(settled)
        self.check_verdicts(process)

    def _check_parcels(
        self, accepted: Mapping[str, int], settled: Mapping[Any, Any], refused: Mapping[Any, Any]
    ) -> None:
        rows = self._query("SELECT delivery, state, attempt, replay, webhook FROM service_parcels")
        originals = sum(row[3] is None for row in rows)
        if originals < sum(accepted.values()):
            raise Broken(f"{sum(accepted.values())} parcels were promised, {originals} are there")
        invalid = {row[0] for row in self._query("SELECT webhook FROM service_webhooks WHERE NOT is_valid")}
        delivered = {
            (seen.permit.delivery, seen.permit.attempt)
            for seen in self._place.network.arrived
            if seen.status == 200
        }
        for delivery, state, attempt, _, webhook in rows:
            last = settled.get((delivery, attempt), ())
            if state == "waiting" and webhook not in invalid:
                raise Broken(f"{delivery} still waits with attempt {attempt}")
            if state == "delivered" and (delivery, attempt) not in delivered:
                raise Broken(f"{delivery} is said to be delivered, and nobody received it")
            if state == "refused" and (delivery, attempt) not in refused:
                raise Broken(f"{delivery} is said to be refused, and there is no entry")
            if state == "dead" and not last:
                raise Broken(f"{delivery} is dead without a last attempt")

    def _check_arrived(self, settled: Mapping[tuple[str, int], list[dict[str, Any]]]) -> None:
        for seen in self._place.network.arrived:
            told = settled[seen.permit.delivery, seen.permit.attempt]
            best = min(told, key=lambda entry: (entry["by"] != "transport", entry["seq"]))
            if best["disclosure"] == "none":
                raise Broken(f"{seen.permit.delivery} arrived, and the log says that nothing did")
            observed = best.get("observed", {}).get("host", seen.host)
            if observed != seen.host:
                raise Broken(f"{seen.permit.delivery} arrived at {seen.host}, and the log says {observed}")

    def check_verdicts(self, process: Process) -> None:
        """Seal, and have the shipped verifier look at everything."""
        directory = self._place.directory
        Sealer(
            process.real_store,
            process.sequencer,
            FileCheckpointRecord(directory / "signed"),
            origin=ORIGIN,
            signers=[SIGNER],
            verifiers=[VERIFIER],
            index=open_index(process.engine),
        ).seal()
        source = DatabaseLog(self._place.url)
        try:
            report = verify_source(source, ScalarEngine(), hashes_are_tiles=False).report
        finally:
            source.close()
        serious = [finding for finding in report.findings if finding.severity in ("X", "I")]
        if serious:
            raise Broken(f"the verifier finds {[(one.code, one.severity, one.entries) for one in serious]}")

    def due_of_waiting(self) -> list[int]:
        """When each parcel that waits, at a webhook that is valid, may be claimed."""
        rows = self._query(
            "SELECT MAX(due_at_ms, lease_until_ms) FROM service_parcels JOIN service_webhooks USING (webhook) "
            "WHERE state = 'waiting' AND is_valid"
        )
        return [int(row[0]) for row in rows]

    def _query(self, sql: str, *values: object) -> list[Any]:
        connection = sqlite3.connect(self._place.directory / "ledger.db")
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()


def _by_attempt(entries: list[dict[str, Any]], kind: str) -> dict[tuple[str, int], list[dict[str, Any]]]:
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for entry in entries:
        if entry["kind"] == kind:
            found.setdefault((entry["delivery"], entry["attempt"]), []).append(entry)
    return found
