"""The gate's question: may this attempt leave now (ledger format, section 1.5; verdict rules, sections 2.1 and 2.5)?

It asks the rule about whoever owns the intended endpoint at this moment, because that is who will receive; and it
refuses an intent that has gone stale on the way through a queue. The verifier asks the same rule about the destination
that was observed. The two share nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.core.canonical import JsonValue
from ledger.core.grants import Backed, Question, check
from ledger.core.history import History
from ledger.core.parties import developer_of_app, holding_at, is_processor
from ledger.core.scopes import scope_of
from ledger.errors import RejectedError

_ASKED_MEMBERS = ("account", "developer", "app", "environment", "endpoint", "event_type")


def _asked(members: Mapping[str, Any]) -> tuple[Any, ...]:
    get = members.get
    return (
        get("account"),
        get("developer"),
        get("app"),
        get("environment"),
        get("endpoint"),
        get("event_type"),
    )


class Backing(NamedTuple):
    """Yes, to the endpoint's ``url``: the grant and version that back it, until ``until_ms`` (exclusive) at most."""

    grant: str
    version: int
    scope: str
    url: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class NotBacked:
    """No: ``code`` is the first failing test."""

    code: str


def check_gate(history: History, members: Mapping[str, JsonValue], now_ms: int) -> Backing | NotBacked:
    """Whether the attempt with ``members`` (those of ``delivery.attempted``) is backed at ``now_ms``.

    Everything that ``history`` holds counts, whatever its order: a revocation recorded first always wins. Raises
    RejectedError when a member that the question is about is missing or no text.
    """
    account, developer, app, environment, endpoint, event_type = asked = _asked(members)
    if not (
        account.__class__
        is developer.__class__
        is app.__class__
        is environment.__class__
        is endpoint.__class__
        is event_type.__class__
        is str
    ):
        named = zip(_ASKED_MEMBERS, asked, strict=True)
        raise RejectedError(
            f"an attempt needs {', '.join(name for name, value in named if type(value) is not str)}"
        )
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
    answer = check(history, Question(account, developer, app, environment, event_type, now_ms))
    if not isinstance(answer, Backed):
        return NotBacked(answer.code)
    scope = scope_of(event_type)
    assert scope is not None, "an event type without a scope is never backed"
    return Backing(answer.grant, answer.version, scope, holding.url, answer.until_ms)


def _stale_intent(owner: str, held_in: str, developer: str, environment: str) -> NotBacked | None:
    """The refusal of an intent that names another developer or environment than the endpoint has by now."""
    if owner != developer:
        return NotBacked("DEVELOPER_CHANGED_BY_TRANSFER")
    if held_in != environment:
        return NotBacked("WRONG_ENVIRONMENT")
    return None
