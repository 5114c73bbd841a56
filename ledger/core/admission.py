"""Which events the ledger refuses at append, and why (ledger format, section 1.6; verdict rules, sections 2.1, 2.5).

An event of an unknown grant, app or endpoint, or of another account's grant, is rejected, and so is one that
would amend what cannot be amended, or undo what is final. Live, an event on a dead grant is rejected too;
from a file it goes in, changes nothing and is found as ``GRANT_AFTER_TERMINAL``, so that a verdict never
depends on the order of a file. Deliveries are accepted whatever they name, and judged: what happened is never
kept out of the record.

Read where the text leaves room:

- *Of* an unknown app is an event about the app, and ``endpoint.registered`` or ``.transferred``, whose
  developer is looked up through it. A ``grant.issued`` may name an app that is registered later.
- An id names one thing. A registration of a taken app for another developer, or of a taken endpoint for
  another app, environment or URL, is a conflict: ownership moves by a transfer, which notifies and is indexed
  for the old owner. A second ``grant.issued`` of an id is a conflict live, and everywhere for another
  account, app or environment; from a file one of the same account, app and environment starts a version, like
  any that a file brings in some order.
- ``account.deleted`` is final: reactivations and new grants that take effect at or after it are rejected from
  a file as well; the fold ignores them in whatever order they came. So is what would own a retired endpoint
  again. Live, nothing subscribes at a retired endpoint; from a file it goes in and comes to nothing, for nobody owns the
  endpoint any more.
- ``grant.revoked`` and ``grant.invalidated`` are always accepted: safety wins.
- Nobody is erased while a hold on that account stands; an erasure names who approved it, who is not who asked. A hold
  that is lifted was placed before.
- A receipt or count is of the key in force where it is appended, a sighting opens its canary's commitment. Whether a
  signature is right is looked at by whoever appends and by whoever verifies; nothing here computes one.

The same function, asked with ``as_of_size`` the entry's own seq, tells the verifier what was forced in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ledger.core.canaries import opens
from ledger.core.destinations import parse_url
from ledger.core.folding import Event
from ledger.core.grants import is_dead_at
from ledger.core.history import EndpointRecord, GrantRecord, History
from ledger.core.scopes import is_known_scope
from ledger.core.source_keys import Planted
from ledger.core.timelines import deleted_at_ms
from ledger.core.verdicts import Code
from ledger.errors import FormatError


class Refusal(NamedTuple):
    """Why an event is refused, for a person, and the code under which the verifier reports it when forced in."""

    reason: str
    code: Code = "ENTRY_MALFORMED"


def check_admission(history: History, members: Mapping[str, Any], live: bool) -> str | None:
    """Why the event of ``members`` is rejected at the end of the log that ``history`` holds, or None when it goes in.

    ``live`` is false for history that comes from a file. Looked-up members may be missing.
    """
    refusal = find_refusal(history, members, live)
    return None if refusal is None else refusal.reason


def find_refusal(
    history: History, members: Mapping[str, Any], live: bool, as_of_size: int | None = None
) -> Refusal | None:
    """:func:`check_admission` with its code, asked of the log of ``as_of_size`` entries."""
    rule = _RULES.get(members["kind"])
    return None if rule is None else rule(_Log(history, as_of_size, live), members)


class _Log(NamedTuple):
    """A history as of a size, with the look-ups that refusals need; ``live`` is whether the event comes live."""

    history: History
    as_of_size: int | None
    live: bool

    def knows(self, event: Event) -> bool:
        """Whether the log of this size holds ``event``."""
        return self.as_of_size is None or event.seq < self.as_of_size

    def grant(self, grant: str) -> GrantRecord | None:
        """The record of a grant that is issued by now."""
        record = self.history.grants.get(grant)
        if record is None or (self.as_of_size is not None and record.seq >= self.as_of_size):
            return None
        return record

    def owners(self, app: str) -> list[Event]:
        """The registrations and transfers of ``app`` in append order."""
        record = self.history.apps.get(app)
        return [] if record is None else [event for event in record.owners.events if self.knows(event)]

    def holdings(self, endpoint: str) -> list[Event]:
        """The registrations, transfers and retirements of ``endpoint`` in append order."""
        record: EndpointRecord | None = self.history.endpoints.get(endpoint)
        return [] if record is None else [event for event in record.holdings.events if self.knows(event)]

    def is_registered(self, endpoint: str) -> bool:
        """Whether ``endpoint`` is registered by now."""
        return any(event.verb == "registered" for event in self.holdings(endpoint))

    def is_retired(self, endpoint: str, at_ms: int) -> bool:
        """Whether ``endpoint`` is retired at ``at_ms``."""
        return any(event.verb == "retired" and event.at <= at_ms for event in self.holdings(endpoint))

    def is_deleted(self, account: str, at_ms: int) -> bool:
        """Whether ``account`` is deleted at ``at_ms``."""
        record = self.history.accounts.get(account)
        deleted_ms = None if record is None else deleted_at_ms(record, self.as_of_size)
        return deleted_ms is not None and deleted_ms <= at_ms


def _refuse_account(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    if log.is_deleted(members["account"], members["at"]):
        return Refusal("the account is deleted, which is final")
    return None


def _refuse_app(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    return None if log.owners(members["app"]) else _unknown("app", members["app"])


def _refuse_app_registration(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    for event in log.owners(members["app"]):
        if event.verb == "registered" and event.value != members["developer"]:
            return Refusal(f"the app {members['app']} is registered for another developer")
    return None


def _refuse_endpoint_registration(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    try:
        parse_url(members["url"])
    except FormatError as error:
        return Refusal(str(error))
    if not log.owners(members["app"]):
        return _unknown("app", members["app"])
    endpoint = members["endpoint"]
    for event in log.holdings(endpoint):
        if event.verb == "registered":
            held = event.value
            if (held.app, held.environment, held.url) != (
                members["app"],
                members["environment"],
                members["url"],
            ):
                return Refusal(f"the endpoint {endpoint} is registered for another app, environment or URL")
    if log.is_retired(endpoint, members["at"]):
        return Refusal(f"the endpoint {endpoint} is retired, which is final")
    return None


def _refuse_endpoint_transfer(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    refusal = _refuse_endpoint(log, members) or _refuse_app(log, members)
    if refusal is None and log.is_retired(members["endpoint"], members["at"]):
        return Refusal(f"the endpoint {members['endpoint']} is retired, which is final")
    return refusal


def _refuse_endpoint(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    endpoint = members["endpoint"]
    return None if log.is_registered(endpoint) else _unknown("endpoint", endpoint)


def _refuse_issue(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    refusal = _refuse_scopes(members)
    if refusal is not None:
        return refusal
    if log.is_deleted(members["account"], members["at"]):
        return Refusal("the account is deleted, which is final", "GRANT_AFTER_TERMINAL")
    record = log.grant(members["grant"])
    if record is None:
        return None
    if record.account.account != members["account"]:
        return _foreign(members)
    if log.live or (record.app, record.environment) != (members["app"], members["environment"]):
        return Refusal(f"the grant {members['grant']} is issued already: amend it, or issue another")
    return None


def _refuse_scopes(members: Mapping[str, Any]) -> Refusal | None:
    scopes = members.get("scopes")
    if scopes is None:
        return None
    if not scopes:
        return Refusal("a grant covers at least one scope")
    unknown = [scope for scope in scopes if not is_known_scope(scope)]
    return Refusal(f"the scope {unknown[0]} is unknown") if unknown else None


def _refuse_amendment(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    refusal = _refuse_scopes(members)
    if refusal is not None:
        return refusal
    for fixed in ("app", "environment"):
        if fixed in members:
            return Refusal(f"the {fixed} of a grant cannot be amended")
    return _refuse_change(log, members)


def _refuse_change(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    """For what is rejected on a dead grant: amended, resumed, suspended."""
    refusal = _refuse_foreign(log, members)
    if (
        refusal is None
        and log.live
        and is_dead_at(log.history, members["grant"], members["at"], log.as_of_size)
    ):
        return Refusal(f"the grant {members['grant']} is dead", "GRANT_AFTER_TERMINAL")
    return refusal


def _refuse_foreign(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    record = log.grant(members["grant"])
    if record is None:
        return _unknown("grant", members["grant"])
    if members.get("account", record.account.account) != record.account.account:
        return _foreign(members)
    return None


def _refuse_subscription(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    if "grant" not in members and members["subscription"] not in log.history.subscriptions:
        return _unknown("subscription", members["subscription"])
    if "grant" in members:
        refusal = _refuse_foreign(log, members)
        if refusal is not None:
            return refusal
    if "endpoint" not in members:
        return None
    refusal = _refuse_endpoint(log, members)
    if refusal is None and log.live and members["kind"] == "subscription.created":
        endpoint = members["endpoint"]
        if log.is_retired(endpoint, members["at"]):
            return Refusal(f"the endpoint {endpoint} is retired, which is final")
    return refusal


def _refuse_receipt(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    developer = members["developer"]
    if members["key"] != log.history.keys.in_force("developer", developer, log.as_of_size):
        return Refusal(f"the key is not the one that {developer} signs receipts with", "RECEIPT_INVALID")
    return None


def _refuse_count(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    proxy = members["proxy"]
    if members["key"] != log.history.keys.in_force("proxy", proxy, log.as_of_size):
        return Refusal(f"the key is not the one that the proxy {proxy} signs with")
    return None


def _refuse_canary(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    planted = _planted(log, members)
    if planted is not None and planted.commitment != members["commitment"]:
        return Refusal(f"the canary {members['canary']} is planted with another commitment")
    return None


def _refuse_sighting(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    planted = _planted(log, members)
    if planted is None:
        return _unknown("canary", members["canary"])
    if not opens(planted.commitment, members):
        return Refusal(
            f"the commitment of the canary {members['canary']} does not open to this", "COMMITMENT_MISMATCH"
        )
    return None


def _refuse_erasure(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    # A later instant than that of recording is a claim, and would reach behind the end of a hold.
    at_ms = min(members["at"], members.get("recorded_at", members["at"]))
    standing = log.history.holds.standing_on(members["account"], at_ms, log.as_of_size)
    if standing:
        names = ", ".join(dict.fromkeys(one.hold for one in standing))
        return Refusal(
            f"the account is under the legal hold {names}: it has to be lifted first", "HOLD_VIOLATED"
        )
    if log.live and log.as_of_size is None and members.get("approved_by") is None:
        # Asked only where something is appended: entries of before this member existed stand as they are.
        return Refusal("an erasure names the second person who approved it")
    if members.get("approved_by") is not None and members["approved_by"] == members.get("actor"):
        return Refusal("an erasure is approved by another person than the one who asked for it")
    return None


def _refuse_lift(log: _Log, members: Mapping[str, Any]) -> Refusal | None:
    hold = members["hold"]
    return None if log.history.holds.is_placed(hold, log.as_of_size) else _unknown("hold", hold)


def _planted(log: _Log, members: Mapping[str, Any]) -> Planted | None:
    planted = log.history.keys.canaries.get(members["canary"])
    if planted is None or (log.as_of_size is not None and planted.seq >= log.as_of_size):
        return None
    return planted


def _unknown(what: str, name: str) -> Refusal:
    return Refusal(f"the {what} {name} is unknown")


def _foreign(members: Mapping[str, Any]) -> Refusal:
    return Refusal(f"the grant {members['grant']} is another account's")


_RULES: dict[str, Callable[[_Log, Mapping[str, Any]], Refusal | None]] = {
    "account.reactivated": _refuse_account,
    "app.registered": _refuse_app_registration,
    "app.transferred": _refuse_app,
    "app.suspended": _refuse_app,
    "app.reinstated": _refuse_app,
    "endpoint.registered": _refuse_endpoint_registration,
    "endpoint.transferred": _refuse_endpoint_transfer,
    "endpoint.verified": _refuse_endpoint,
    "endpoint.failed": _refuse_endpoint,
    "endpoint.retired": _refuse_endpoint,
    "grant.issued": _refuse_issue,
    "grant.amended": _refuse_amendment,
    "grant.suspended": _refuse_change,
    "grant.resumed": _refuse_change,
    "grant.revoked": _refuse_foreign,
    "grant.invalidated": _refuse_foreign,
    "subscription.created": _refuse_subscription,
    "subscription.deleted": _refuse_subscription,
    "replay.requested": _refuse_endpoint,
    "delivery.receipt": _refuse_receipt,
    "egress.counted": _refuse_count,
    "canary.planted": _refuse_canary,
    "canary.seen": _refuse_sighting,
    "subject.erased": _refuse_erasure,
    "hold.lifted": _refuse_lift,
}

RULED_KINDS = frozenset(_RULES)
"""The kinds that can be refused at all."""

MEMBERS_READ = (
    "kind",
    "at",
    "recorded_at",
    "account",
    "app",
    "developer",
    "endpoint",
    "environment",
    "grant",
    "scopes",
    "subscription",
    "url",
    "key",
    "proxy",
    "canary",
    "commitment",
    "marker",
    "salt",
    "hold",
    "actor",
    "approved_by",
)
"""The members that a refusal can depend on."""
