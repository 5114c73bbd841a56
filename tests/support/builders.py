"""A log in memory, built tersely: typed entries in append order, and the history that they make.

``Log`` numbers entries and fills in what the ledger would look up, and refuses what the ledger would refuse; an entry
that should never have got in is put there with ``forced=True``. People are named by words: ``tag("ann")``.

    log = Log()
    log.parties()                      # dev-a with app-a, wh-a at https://a.example/hook; dev-b likewise
    log.issue("g", at=100)             # ann to dev-a's app-a, scopes posts
    log.judge(log.imported(at=150))    # a Judgement
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ledger.core.admission import check_admission
from ledger.core.completion import complete
from ledger.core.delivery import Delivery, from_attempt, from_imported
from ledger.core.entries import KINDS, Entry, Observed, ReceivedBy
from ledger.core.history import History
from ledger.core.judgement import Judgement, judge
from ledger.core.ledger_findings import LedgerFinding, find_entry_findings
from ledger.errors import RejectedError

DM = "direct_message_events"
POST = "tweet_create_events"
LIKE = "favorite_events"


def tag(name: str) -> str:
    """The tag of the person called ``name``."""
    return "a_" + hashlib.sha256(name.encode()).hexdigest()[:32]


def seen(host: str = "a.example", path: str = "/hook", **members: Any) -> dict[str, Any]:
    """An observation of ``https://host/path`` with the same name in TLS."""
    return {"host": host, "sni": host, "path": path, "port": 443} | members


class Log:
    """Entries 0, 1, 2, … and the history of them."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.history = History()
        self.recorded_at = 0

    @property
    def size(self) -> int:
        """How many entries there are."""
        return len(self.entries)

    def add(
        self,
        kind: str,
        at: int,
        *,
        via: str = "file",
        recorded_at: int | None = None,
        forced: bool = False,
        endpoint_meant: str | None = None,
        **members: Any,
    ) -> Any:
        """Append an entry; ``recorded_at`` defaults to ``at``, never before the entry before. Raises RejectedError."""
        seq = len(self.entries)
        self.recorded_at = max(self.recorded_at, at if recorded_at is None else recorded_at)
        stated: dict[str, Any] = {
            "kind": kind,
            "v": 1,
            "seq": seq,
            "prev": "0" * 64,
            "uid": f"{kind}/{seq}",
            "recorded_at": self.recorded_at,
            "at": at,
            "actor": "test:builder",
            "via": via,
        }
        stated |= {name: value for name, value in members.items() if value is not None}
        if not forced:
            reason = check_admission(self.history, stated, via != "file")
            if reason is not None:
                raise RejectedError(reason)
            complete(stated, self.history, seq, endpoint=endpoint_meant)
        entry = _typed(stated)
        self.entries.append(entry)
        self.history.add(entry)
        return entry

    def parties(self) -> None:
        """dev-a and dev-b with one app and one endpoint each, from the beginning of time."""
        for letter in "ab":
            self.app(f"app-{letter}", f"dev-{letter}")
            self.endpoint(f"wh-{letter}", f"app-{letter}", f"https://{letter}.example/hook")

    def app(self, app: str, developer: str, at: int = 0, **members: Any) -> Any:
        """``app.registered``."""
        return self.add("app.registered", at, app=app, developer=developer, **members)

    def endpoint(
        self, endpoint: str, app: str, url: str, environment: str = "prod", at: int = 0, **members: Any
    ) -> Any:
        """``endpoint.registered``."""
        return self.add(
            "endpoint.registered", at, endpoint=endpoint, app=app, environment=environment, url=url, **members
        )

    def issue(
        self,
        grant: str = "g",
        at: int = 100,
        *,
        account: str = "ann",
        developer: str = "dev-a",
        app: str = "app-a",
        environment: str = "prod",
        scopes: Sequence[str] = ("posts",),
        **members: Any,
    ) -> Any:
        """``grant.issued``."""
        return self.add(
            "grant.issued",
            at,
            grant=grant,
            account=tag(account),
            developer=developer,
            app=app,
            environment=environment,
            scopes=sorted(scopes),
            **members,
        )

    def amend(self, grant: str = "g", at: int = 200, **members: Any) -> Any:
        """``grant.amended``."""
        return self.add("grant.amended", at, grant=grant, **members)

    def revoke(self, grant: str = "g", at: int = 200, **members: Any) -> Any:
        """``grant.revoked``."""
        return self.add("grant.revoked", at, grant=grant, **members)

    def imported(
        self,
        delivery: str = "d",
        at: int = 150,
        *,
        account: str = "ann",
        endpoint: str = "wh-a",
        event_type: str = POST,
        attempt: int = 1,
        disclosure: str = "confirmed",
        **members: Any,
    ) -> Any:
        """``delivery.imported`` with ``started_at`` = ``at``; ``observed`` as from :func:`seen`, default none."""
        return self.add(
            "delivery.imported",
            at,
            delivery=delivery,
            attempt=attempt,
            event="e_" + "0" * 32,
            event_type=event_type,
            private=False,
            channel="push",
            account=tag(account),
            subjects=[],
            endpoint=endpoint,
            started_at=at,
            disclosure=disclosure,
            **members,
        )

    def attempt(
        self,
        delivery: str = "d",
        at: int = 150,
        *,
        account: str = "ann",
        developer: str = "dev-a",
        app: str = "app-a",
        environment: str = "prod",
        endpoint: str = "wh-a",
        event_type: str = POST,
        attempt: int = 1,
        decided_at_size: int | None = None,
        **members: Any,
    ) -> Any:
        """``delivery.attempted`` by the gate, to be sent within a second."""
        stated: dict[str, Any] = {
            "subjects": [],
            "grant": "g",
            "grant_version": 1,
            "send_before": at + 1_000,
        } | members
        return self.add(
            "delivery.attempted",
            at,
            via=stated.pop("via", "gate"),
            delivery=delivery,
            attempt=attempt,
            event="e_" + "0" * 32,
            event_type=event_type,
            private=False,
            channel="push",
            account=tag(account),
            developer=developer,
            app=app,
            environment=environment,
            endpoint=endpoint,
            decided_at_size=self.size if decided_at_size is None else decided_at_size,
            payload="0" * 64,
            body_bytes=stated.pop("body_bytes", 256),
            **stated,
        )

    def settle(self, attempted: Any, at: int | None = None, *, by: str = "transport", **members: Any) -> Any:
        """``delivery.settled`` of ``attempted``, started at ``at`` (default: when it was recorded) and seen at wh-a."""
        started_at = attempted.recorded_at if at is None else at
        stated: dict[str, Any] = {
            "account": attempted.account,
            "subjects": attempted.subjects,
            "developer": attempted.developer,
            "observed": seen(),
            "disclosure": "confirmed",
        }
        return self.add(
            "delivery.settled",
            started_at,
            via=members.pop("via", "gate"),
            delivery=attempted.delivery,
            attempt=attempted.attempt,
            by=by,
            started_at=started_at,
            endpoint_meant=attempted.endpoint,
            **(stated | members),
        )

    def delivery(self, *told: Any, **flags: Any) -> Delivery:
        """The attempt that the entries ``told`` tell of."""
        if told[0].kind == "delivery.imported":
            return from_imported(told[0], **flags)
        attempted = [entry for entry in told if entry.kind == "delivery.attempted"]
        settled = [entry for entry in told if entry.kind == "delivery.settled"]
        return from_attempt(attempted[0] if attempted else None, settled, **flags)

    def judge(
        self, *told: Any, ledger_time: int | None = None, require_tickets: bool = False, **flags: Any
    ) -> Judgement:
        """The judgement of the attempt that the entries ``told`` tell of, as of the whole log."""
        return judge(
            self.delivery(*told, **flags),
            self.history,
            tree_size=self.size,
            ledger_time_ms=self.recorded_at if ledger_time is None else ledger_time,
            require_tickets=require_tickets,
        )

    def findings(self) -> list[LedgerFinding]:
        """The findings about entries, in the order of the log."""
        return [finding for entry in self.entries for finding in find_entry_findings(entry, self.history)]


def _typed(members: dict[str, Any]) -> Entry:
    values = dict(members)
    if isinstance(values.get("observed"), dict):
        values["observed"] = Observed(**values["observed"])
    if isinstance(values.get("received_by"), dict):
        values["received_by"] = ReceivedBy(**values["received_by"])
    return KINDS[values["kind"]](**values)
