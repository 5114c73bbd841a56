"""The gate's question: may this attempt leave now (ledger format, section 1.5; verdict rules, sections 2.1 and 2.5)?

It asks the rule about whoever owns the intended endpoint at this moment, because that is who will receive; and it
refuses an intent that has gone stale on the way through a queue. The verifier asks the same rule about the destination
that was observed. The two share nothing else.

An attempt for a subscription is asked about the grant that this subscription is (delivery protocol, section 3.1), and about
no other, and only at the endpoint that it was made at: what the account allows at another webhook of the app is no leave to
send to this one. The rule would call it
backed, so that this refuses more than the verifier accuses of, and never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import msgspec

from ledger.core.canonical import JsonValue
from ledger.core.grants import Miss, Question, explain, find_backing_among_good, find_failing_party
from ledger.core.history import History, Subscription
from ledger.core.parties import developer_of_app, holding_at, is_processor
from ledger.core.scopes import scope_of
from ledger.errors import RejectedError

_ASKED_MEMBERS = ("account", "developer", "app", "environment", "endpoint", "event_type")
_asked = itemgetter(*_ASKED_MEMBERS)
_ALL_TEXTS = (str,) * len(_ASKED_MEMBERS)


class Backing(msgspec.Struct, frozen=True, gc=False):
    """Yes, to the endpoint's ``url``: the grant and version that back it, until ``until_ms`` (exclusive) at most."""

    grant: str
    version: int
    scope: str
    url: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class NotBacked:
    """No: ``code`` is the first failing test, ``nearest`` the candidate grants, the nearest first."""

    code: str
    nearest: tuple[Miss, ...] = ()


class _Intent(NamedTuple):
    """An intent that the parties do not contradict: where it goes, and whether app and developer may receive at all."""

    url: str
    is_in_good_standing: bool


def check_gate(history: History, members: Mapping[str, JsonValue], now_ms: int) -> Backing | NotBacked:
    """Whether the attempt with ``members`` (those of ``delivery.attempted``) is backed at ``now_ms``.

    Everything that ``history`` holds counts, whatever its order: a revocation recorded first always wins. Raises
    RejectedError when a member that the question is about is missing or no text.
    """
    try:
        asked = _asked(members)
    except KeyError:
        asked = ()
    if tuple(map(type, asked)) != _ALL_TEXTS:
        missing = [name for name in _ASKED_MEMBERS if type(members.get(name)) is not str]
        raise RejectedError(f"an attempt needs {', '.join(missing)}")
    account, developer, app, environment, endpoint, event_type = asked
    intent = history.recall.ask(_check_intent, history, (endpoint, developer, app, environment), now_ms)
    if isinstance(intent, NotBacked):
        return intent
    subscription, made = _subscribed(history, members)
    if made is not None and made.endpoint != endpoint:
        # Whatever else the account allows, this subscription is none at the endpoint.
        return NotBacked("NO_GRANT")
    only = None if made is None else made.grant
    backed = None
    if intent.is_in_good_standing:
        backed = find_backing_among_good(
            history, account, developer, app, environment, event_type, now_ms, only=only
        )
    if backed is None:
        question = Question(account, developer, app, environment, event_type, now_ms)
        no = explain(history, question, only=only)
        return NotBacked(no.code, no.misses)
    if subscription is not None and history.has_ended(subscription, now_ms):
        return NotBacked("DELIVERED_AFTER_REVOCATION")
    scope = scope_of(event_type)
    assert scope is not None, "an event type without a scope is never backed"
    return Backing(backed.grant, backed.version, scope, intent.url, backed.until_ms)


def _subscribed(history: History, members: Mapping[str, JsonValue]) -> tuple[str | None, Subscription | None]:
    """The subscription that the attempt is made for, and what it binds; none where the log knows no such."""
    subscription = members.get("subscription")
    if type(subscription) is not str:
        return None, None
    made = history.subscriptions.get(subscription)
    return (None, None) if made is None else (subscription, made)


def _check_intent(
    history: History, endpoint: str, developer: str, app: str, environment: str, now_ms: int
) -> _Intent | NotBacked:
    """What concerns the parties alone, and so is the same for every account: an answer to be remembered."""
    record = history.endpoints.get(endpoint)
    holding = None if record is None else holding_at(record, now_ms)
    if holding is None or holding.destination is None:
        return NotBacked("ENDPOINT_UNKNOWN")
    owner = developer_of_app(history, holding.app, now_ms)
    if owner is None:
        return NotBacked("ENDPOINT_UNKNOWN")
    if holding.app != app and not is_processor(history, developer, owner, now_ms):
        return NotBacked("ENDPOINT_NOT_OWNED")
    if holding.app == app:
        stale = _stale_intent(owner, holding.environment, developer, environment)
        if stale is not None:
            return stale
    return _Intent(holding.url, find_failing_party(history, app, developer, now_ms) is None)


def _stale_intent(owner: str, held_in: str, developer: str, environment: str) -> NotBacked | None:
    """The refusal of an intent that names another developer or environment than the endpoint has by now."""
    if owner != developer:
        return NotBacked("DEVELOPER_CHANGED_BY_TRANSFER")
    if held_in != environment:
        return NotBacked("WRONG_ENVIRONMENT")
    return None
