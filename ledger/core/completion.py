"""The members that the ledger looks up and a record does not state (ledger format, sections 1.6 and 1.7).

They make every entry readable and indexable by itself: the developer behind an app, the one before a
transfer, the real owner of a destination. Each is looked up by a fold of the entries before the new one, at
the new entry's ``at`` (``started_at`` for deliveries), and is a claim: the verifier derives again whatever a
verdict depends on.

A looked-up member overrides one that was stated, except ``account`` of a grant's event, which a record may
state and :mod:`ledger.core.admission` compares, and what a subscription binds together. Without owner at
``at`` the last one before is named, else the first: an event that comes early or late is still somebody's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from ledger.core.destinations import observed_destination
from ledger.core.history import History
from ledger.core.parties import (
    Owner,
    destination_of,
    developer_of_app,
    intended_owner,
    owner_of_destination,
)
from ledger.core.timelines import Timeline, timeline_of
from ledger.errors import RejectedError


class _Observed(NamedTuple):
    host: str | None = None
    port: int | None = None
    path: str | None = None
    sni: str | None = None


def complete(members: dict[str, Any], history: History, size: int, *, endpoint: str | None = None) -> None:
    """Fill in the looked-up members of an entry that is to be number ``size``; ``members`` has ``kind`` and ``at``.

    ``endpoint`` is the intended endpoint of a ``delivery.settled``, which does not state it (its attempt
    does); without it the destination is resolved by the observation alone. Raises :class:`RejectedError` when
    a grant, app or endpoint that must be looked up is unknown; deliveries never raise.
    """
    kind = members["kind"]
    if kind == "delivery.settled":
        _put_received_by(history, size, members, endpoint)
        return
    rule = _RULES.get(kind)
    if rule is not None:
        rule(_Lookup(history, size), members)


class _Lookup(NamedTuple):
    """A history as of a size."""

    history: History
    size: int

    def developer(self, app: str, at_ms: int) -> str:
        developer = developer_of_app(self.history, app, at_ms, self.size)
        if developer is None:
            raise RejectedError(f"the app {app} is unknown")
        return developer

    def owner(self, endpoint: str, at_ms: int) -> Owner:
        owner = intended_owner(self.history, endpoint, at_ms, self.size)
        if owner is None:
            raise RejectedError(f"the endpoint {endpoint} is unknown")
        return owner

    def grant(self, grant: str) -> tuple[str, Timeline]:
        """The account of ``grant``, and its timeline."""
        record = self.history.grants.get(grant)
        timeline = None if record is None else timeline_of(record, self.size)
        if record is None or timeline is None:
            raise RejectedError(f"the grant {grant} is unknown")
        return record.account.account, timeline


def _developer_under(timeline: Timeline, at_ms: int) -> str:
    """The developer of the version at ``at_ms``, live or not; before the start the first."""
    return (timeline.version_at(at_ms) or timeline.versions[0]).developer


def _complete_app(look: _Lookup, members: dict[str, Any]) -> None:
    members["developer"] = look.developer(members["app"], members["at"])


def _complete_app_transfer(look: _Lookup, members: dict[str, Any]) -> None:
    members["previous_developer"] = look.developer(members["app"], members["at"])


def _complete_endpoint_transfer(look: _Lookup, members: dict[str, Any]) -> None:
    members["previous_developer"] = look.owner(members["endpoint"], members["at"]).developer
    _complete_app(look, members)


def _complete_endpoint(look: _Lookup, members: dict[str, Any]) -> None:
    owner = look.owner(members["endpoint"], members["at"])
    members["app"] = owner.app
    members["developer"] = owner.developer


def _complete_grant(look: _Lookup, members: dict[str, Any]) -> None:
    account, timeline = look.grant(members["grant"])
    members.setdefault("account", account)
    members["developer"] = _developer_under(timeline, members["at"])


def _complete_amendment(look: _Lookup, members: dict[str, Any]) -> None:
    named = members.get("developer")
    members.pop("previous_developer", None)
    _complete_grant(look, members)
    if named is not None:
        # Whenever, and only when, the amendment names a developer: this is how the fold tells it from a look-up.
        members["previous_developer"] = members["developer"]
        members["developer"] = named


def _complete_subscription(look: _Lookup, members: dict[str, Any]) -> None:
    created = look.history.subscriptions.get(members["subscription"])
    if "grant" not in members and created is not None:
        for name, value in zip(created._fields, created, strict=True):
            members.setdefault(name, value)
        return
    if "grant" not in members:
        raise RejectedError(f"the subscription {members['subscription']} is unknown")
    account, timeline = look.grant(members["grant"])
    members.setdefault("account", account)
    members.setdefault("developer", _developer_under(timeline, members["at"]))
    members.setdefault("app", timeline.app)
    members.setdefault("environment", timeline.environment)


def _complete_replay(look: _Lookup, members: dict[str, Any]) -> None:
    owner = look.owner(members["endpoint"], members["at"])
    members["app"] = owner.app
    members["developer"] = owner.developer
    members["environment"] = owner.environment


def _recall(
    history: History, size: int, rule: Callable[..., Any], asked: tuple[Hashable, ...], at_ms: int
) -> Any:
    """``rule(history, *asked, at_ms, size)``, which asks about parties alone; an answer from before will do."""
    if history.recall.last_seq < size:
        return history.recall.ask(rule, history, asked, at_ms)
    return rule(history, *asked, at_ms, size)


def _complete_imported(look: _Lookup, members: dict[str, Any]) -> None:
    endpoint = members["endpoint"]
    developer = _recall(look.history, look.size, _intended_developer, (endpoint,), members["started_at"])
    members.pop("developer", None)
    if developer is not None:
        members["developer"] = developer
    _put_received_by(look.history, look.size, members, endpoint)


def _intended_developer(
    history: History, endpoint: str, at_ms: int, as_of_size: int | None = None
) -> str | None:
    intended = intended_owner(history, endpoint, at_ms, as_of_size)
    return None if intended is None else intended.developer


def _put_received_by(history: History, size: int, members: dict[str, Any], endpoint: str | None) -> None:
    observed = members.get("observed")
    seen = None
    if observed is not None:
        get = observed.get
        seen = (get("host"), get("port"), get("path"), get("sni"))
    owner = _recall(history, size, _received_by, (seen, endpoint), members["started_at"])
    if owner is None:
        members.pop("received_by", None)
    else:
        members["received_by"] = dict(owner)


def _received_by(
    history: History,
    seen: tuple[Any, Any, Any, Any] | None,
    endpoint: str | None,
    at_ms: int,
    as_of_size: int | None = None,
) -> dict[str, str] | None:
    """The member ``received_by`` where host, port, path and SNI were ``seen``, or nothing was (None)."""
    observed = None if seen is None else _Observed(*seen)
    owner = receiving_owner(history, observed, endpoint, at_ms, as_of_size)
    if owner is None:
        return None
    return {
        "developer": owner.developer,
        "app": owner.app,
        "environment": owner.environment,
        "endpoint": owner.endpoint,
    }


def receiving_owner(
    history: History, observed: Any, endpoint: str | None, at_ms: int, as_of_size: int | None = None
) -> Owner | None:
    """The real owner at ``at_ms`` of the observed destination, else of the intended ``endpoint``'s; None for nobody.

    Never the principal of a processor. ``observed`` has the attributes host, port, path and sni, or is None.
    """
    destination = observed_destination(observed)
    if destination is None and endpoint is not None:
        destination = destination_of(history, endpoint, at_ms, as_of_size)
    if destination is None:
        return None
    return owner_of_destination(history, destination, at_ms, endpoint, as_of_size)


_RULES: dict[str, Callable[[_Lookup, dict[str, Any]], None]] = {
    "app.suspended": _complete_app,
    "app.reinstated": _complete_app,
    "app.transferred": _complete_app_transfer,
    "endpoint.registered": _complete_app,
    "endpoint.transferred": _complete_endpoint_transfer,
    "endpoint.verified": _complete_endpoint,
    "endpoint.failed": _complete_endpoint,
    "endpoint.retired": _complete_endpoint,
    "grant.amended": _complete_amendment,
    "grant.suspended": _complete_grant,
    "grant.resumed": _complete_grant,
    "grant.revoked": _complete_grant,
    "grant.invalidated": _complete_grant,
    "subscription.created": _complete_subscription,
    "subscription.deleted": _complete_subscription,
    "replay.requested": _complete_replay,
    "delivery.imported": _complete_imported,
}

COMPLETED_KINDS = frozenset({*_RULES, "delivery.settled"})
"""The kinds that have members to look up; :func:`complete` leaves all others as they are."""
