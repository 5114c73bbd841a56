"""An account's history as members for programs and pages: what ``grantledger history --json`` prints and the API answers.

Instants are RFC 3339; people are tags; data is named in plain words beside its scopes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ledger.core.judgement import Judgement, Party
from ledger.core.proof_words import NOT_RECORDED, ONE_LOG, TRUE_INDEX
from ledger.core.timestamps import format_rfc3339
from ledger.core.verdicts import VERDICTS
from ledger.gateway.account_history import Access, AccountHistory
from ledger.gateway.words import scopes_in_words


def document_of(account: str, history: AccountHistory) -> dict[str, Any]:
    """The object that tells ``history``, that of the account with the tag ``account``."""
    verdicts = Counter(judged.verdict for judged in history.deliveries)
    first = 0 if history.bundle.page is None else history.bundle.page.first
    return {
        "account": account,
        "origin": history.origin,
        "tree_size": history.tree_size,
        "root": history.root.hex(),
        "at": format_rfc3339(history.time_ms),
        "map_size": history.map_size,
        "count": history.count,
        "first": first,
        "shown": len(history.entries),
        "apps": [_app(access) for access in history.accesses],
        "deliveries": [_delivery(judged) for judged in history.deliveries],
        "refused": [_refused(entry) for entry in history.refused],
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
        "erased_by_entry": erased_by_entry(history),
        "shows": [*erasure_in_words(history), completeness_in_words(history)],
        "does_not_show": [
            f"Anything from entry {history.map_size} on: the index that was signed ends there.",
            NOT_RECORDED,
            TRUE_INDEX,
            ONE_LOG,
        ],
    }


def erased_by_entry(history: AccountHistory) -> int | None:
    """The number of the entry, of those shown, that says that the person was erased."""
    return next((entry.seq for entry in history.entries if entry.kind == "subject.erased"), None)


def erasure_in_words(history: AccountHistory) -> list[str]:
    """That the person behind the account was erased, and what that means for what is shown; nothing where not."""
    seq = erased_by_entry(history)
    if seq is None:
        return []
    told = (
        f"ERASED: entry {seq:,} says that who is behind this account was destroyed, with the key of everything about it. The "
        "entries stay as they are, and so do the verdicts; nothing here says any more whose they are, and no commitment in "
        "them can be opened."
    )
    return [told]


def completeness_in_words(history: AccountHistory) -> str:
    """How many of the account's entries are shown, of how many there are, and what that was checked against."""
    counted = f"{history.count:,} of the first {history.map_size:,} entries of the log are about this account"
    shown = (
        "all of them are taken into account here"
        if history.is_whole
        else f"{len(history.entries):,} of them are here"
    )
    return (
        f"{counted}; {shown}. That was checked against the checkpoint of {history.tree_size:,} entries that the log's key "
        "signed. A file that proves it to others: grantledger prove account."
    )


def _app(access: Access) -> dict[str, Any]:
    granted = access.granted
    return {
        "grant": granted.grant,
        "developer": granted.developer,
        "app": granted.app,
        "environment": granted.environment,
        "scopes": list(granted.scopes),
        "data": list(scopes_in_words(granted.scopes)),
        "granted_at": format_rfc3339(granted.began_at_ms),
        "expires_at": _instant(access.expires_at_ms),
        "ended_at": _instant(access.ends_ms) if granted.is_dead else None,
        "has_access": not granted.is_dead,
        "last_used_at": _instant(access.last_used_ms),
    }


def _delivery(judged: Judgement) -> dict[str, Any]:
    delivery = judged.delivery
    return {
        "delivery": delivery.delivery,
        "attempt": delivery.attempt,
        "at": format_rfc3339(delivery.started_at_ms),
        "event_type": delivery.event_type,
        "meant_for": _party(judged.expected),
        "received_by": None if judged.actual is None else _party(judged.actual),
        "evidence": judged.evidence,
        "disclosure": delivery.disclosure,
        "verdict": judged.verdict,
        "code": judged.code,
        "codes": list(judged.codes),
        "severity": judged.severity,
        "grant": None if judged.backing is None else judged.backing.grant,
        "entries": list(delivery.seqs),
    }


def _refused(entry: Any) -> dict[str, Any]:
    return {
        "delivery": entry.delivery,
        "attempt": entry.attempt,
        "at": format_rfc3339(entry.at),
        "event_type": entry.event_type,
        "developer": entry.developer,
        "app": entry.app,
        "reason": entry.reason,
        "entry": entry.seq,
    }


def _party(party: Party) -> dict[str, Any]:
    return {
        "developer": party.developer,
        "app": party.app,
        "environment": party.environment,
        "endpoint": party.endpoint,
    }


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)
