"""Which entries an export, a table or a stream is about (exports, section 5.5).

An entry is selected when it carries one of the index keys asked for, or no key is asked for, and is within every bound
that is stated. The same function makes an export and checks that nothing else is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.core.canonical import JsonValue
from ledger.core.index import index_keys

FILTER = {
    "accounts?": [str],
    "developers?": [str],
    "pairs?": [str],
    "incident?": str,
    "kinds?": [str],
    "at_from?": int,
    "at_to?": int,
    "recorded_from?": int,
    "recorded_to?": int,
    "seq_from?": int,
    "seq_to?": int,
}
"""The members of a filter (:mod:`ledger.core.shapes`); instants are ms, what ends in ``_to`` is exclusive."""


@dataclass(frozen=True, slots=True)
class Filter:
    """``accounts`` are tags, granting or concerned; ``pairs`` are ``tag:developer``; None where nothing is asked for.

    ``incident`` selects the entries that name it, and what whoever makes the export adds for it.
    """

    accounts: tuple[str, ...] | None = None
    developers: tuple[str, ...] | None = None
    pairs: tuple[str, ...] | None = None
    incident: str | None = None
    kinds: tuple[str, ...] | None = None
    at_from: int | None = None
    at_to: int | None = None
    recorded_from: int | None = None
    recorded_to: int | None = None
    seq_from: int | None = None
    seq_to: int | None = None


def keys_of(wanted: Filter) -> list[str]:
    """The index keys that ``wanted`` asks for, ascending."""
    keys = {f"{family}:{tag}" for tag in wanted.accounts or () for family in ("acct", "subj")}
    keys.update([f"dev:{developer}" for developer in wanted.developers or ()])
    keys.update([f"pair:{pair}" for pair in wanted.pairs or ()])
    return sorted(keys)


def is_narrowed(wanted: Filter) -> bool:
    """Whether ``wanted`` may leave out entries that carry a key which it asks for."""
    bounds = (wanted.kinds, wanted.at_from, wanted.at_to, wanted.recorded_from, wanted.recorded_to)
    return any(bound is not None for bound in (*bounds, wanted.seq_from, wanted.seq_to))


def stretch_of(wanted: Filter, tree_size: int) -> range | None:
    """The entries of the first ``tree_size`` that ``wanted`` selects, where nothing but their numbers decides; else None."""
    bounds = (wanted.kinds, wanted.at_from, wanted.at_to, wanted.recorded_from, wanted.recorded_to)
    if keys_of(wanted) or wanted.incident is not None or any(bound is not None for bound in bounds):
        return None
    end = tree_size if wanted.seq_to is None else min(tree_size, wanted.seq_to)
    return range(wanted.seq_from or 0, max(wanted.seq_from or 0, end))


def is_within(wanted: Filter, members: Mapping[str, Any]) -> bool:
    """Whether the entry with ``members`` is within the bounds of ``wanted``, whatever it is about."""
    if wanted.kinds is not None and members.get("kind") not in wanted.kinds:
        return False
    return (
        _is_between(members.get("seq"), wanted.seq_from, wanted.seq_to)
        and _is_between(members.get("at"), wanted.at_from, wanted.at_to)
        and _is_between(members.get("recorded_at"), wanted.recorded_from, wanted.recorded_to)
    )


def is_about(wanted: Filter, keys: frozenset[str], members: Mapping[str, Any]) -> bool:
    """Whether the entry with ``members`` is about what ``wanted`` asks for, whose ``keys`` are :func:`keys_of`."""
    if wanted.incident is not None and members.get("incident") == wanted.incident:
        return True
    if not keys:
        return wanted.incident is None
    return not keys.isdisjoint(index_keys(members))


def format_filter(wanted: Filter) -> dict[str, JsonValue]:
    """The JSON object of ``wanted``, without what is not asked for."""
    formatted: dict[str, JsonValue] = {}
    for name in FILTER:
        value = getattr(wanted, name.rstrip("?"))
        if value is not None:
            formatted[name.rstrip("?")] = list(value) if isinstance(value, tuple) else value
    return formatted


def _is_between(value: object, low: int | None, high: int | None) -> bool:
    if low is None and high is None:
        return True
    return type(value) is int and (low is None or low <= value) and (high is None or value < high)
