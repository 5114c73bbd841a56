"""What a record may state, made from the entries' dataclasses and the differences (ledger format, sections 1.6, 1.7).

A record has the members of its kind's entry with the platform's ids in place of tags, instants as text or
milliseconds, and without what the ledger adds, looks up or commits to. Only these differences are written here; names,
types and bounds come from :mod:`ledger.core.entries`. Structure, types and bounds are checked by a msgspec struct for
each kind; patterns and everything about more than one member by :mod:`ledger.ingest.records`.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, cast

import msgspec

from ledger.core.entries import COMMON_MEMBERS, KINDS, Evidence, Observed
from ledger.core.entries.codec import split_optional
from ledger.core.entries.members import Bounds, Id, Pattern, SortedSet, Tag, Uid
from ledger.core.uids import COMMITMENTS

MemberNames = frozenset[str]
Match = Callable[[str], object]

_NONE: MemberNames = frozenset()

LOOKED_UP: Mapping[str, MemberNames] = {
    "app.registered": frozenset({"previous_developer"}),
    "app.transferred": frozenset({"previous_developer"}),
    "app.suspended": frozenset({"developer"}),
    "app.reinstated": frozenset({"developer"}),
    "endpoint.registered": frozenset({"developer"}),
    "endpoint.transferred": frozenset({"developer", "previous_developer"}),
    "endpoint.verified": frozenset({"app", "developer"}),
    "endpoint.failed": frozenset({"app", "developer"}),
    "endpoint.retired": frozenset({"app", "developer"}),
    "grant.amended": frozenset({"previous_developer"}),
    "grant.suspended": frozenset({"developer"}),
    "grant.resumed": frozenset({"developer"}),
    "grant.revoked": frozenset({"developer"}),
    "grant.invalidated": frozenset({"developer"}),
    "delivery.imported": frozenset({"developer", "received_by"}),
    "replay.requested": frozenset({"app", "developer", "environment"}),
}
"""Members that the ledger finds in its history and a record may not state."""

LOOKED_UP_UNLESS_STATED: Mapping[str, MemberNames] = {
    "grant.amended": frozenset({"account", "developer"}),
    "grant.suspended": frozenset({"account"}),
    "grant.resumed": frozenset({"account"}),
    "grant.revoked": frozenset({"account"}),
    "grant.invalidated": frozenset({"account"}),
    "subscription.created": frozenset({"account", "app", "developer", "environment"}),
    "subscription.deleted": frozenset({"account", "app", "developer", "endpoint", "environment", "grant"}),
}
"""Members that a record may state, and that the ledger finds in its history when it does not."""

DEFAULTED: Mapping[str, MemberNames] = {"delivery.imported": frozenset({"channel", "disclosure", "private"})}
"""Members that have a default."""

PLATFORM_KINDS = (
    "account.registered",
    "account.suspended",
    "account.reactivated",
    "account.deleted",
    "developer.registered",
    "developer.suspended",
    "developer.reinstated",
    "developer.key_set",
    "app.registered",
    "app.transferred",
    "app.suspended",
    "app.reinstated",
    "endpoint.registered",
    "endpoint.transferred",
    "endpoint.verified",
    "endpoint.failed",
    "endpoint.retired",
    "processor.declared",
    "grant.issued",
    "grant.amended",
    "grant.suspended",
    "grant.resumed",
    "grant.revoked",
    "grant.invalidated",
    "subscription.created",
    "subscription.deleted",
    "delivery.imported",
    "replay.requested",
)
"""Kinds that a record may have; the others are the ledger's own to append."""

HARDLY_RECURRING = frozenset({"delivery", "event"})
"""Members that hold ids of what happened once: no use in remembering them. (Events are tags in entries only.)"""

ID_PATTERN: Pattern = typing.get_args(Id)[1]
TAG_PATTERN: Pattern = typing.get_args(Tag)[1]
UID_PATTERN: Pattern = typing.get_args(Uid)[1]


def matcher(pattern: Pattern) -> Match:
    """A function that is true of exactly the strings that ``pattern`` matches as a whole."""
    return re.compile(pattern.regex, re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Shape:
    """What the struct of a kind leaves open: names of members by what they still need.

    ``instants`` are text or milliseconds; ``ids`` match the pattern of ids, those of people included; ``inner_ids``
    are ids one level down: ``(outer name, name)``; ``matched`` have another pattern, or are :data:`HARDLY_RECURRING`:
    ``(outer name or "", name, match, meaning)``. ``sets`` are lists whose items are ids, or any text where
    ``sets[name]`` is false.
    """

    instants: tuple[str, ...]
    ids: tuple[str, ...]
    inner_ids: tuple[tuple[str, str], ...]
    matched: tuple[tuple[str, str, Match, str], ...]
    sets: Mapping[str, bool]


def is_instant(name: str) -> bool:
    """Whether members called ``name`` hold instants: ``at``, ``until`` and everything that ends in ``_at``."""
    return name in ("at", "until") or name.endswith("_at")


def _stated_fields(kind: str) -> list[tuple[str, Any, bool]]:
    """Name, type and optionality of the members of ``kind`` that a record may state."""
    source = KINDS[kind]
    hidden = LOOKED_UP.get(kind, _NONE) | COMMITMENTS | frozenset(COMMON_MEMBERS)
    relaxed = LOOKED_UP_UNLESS_STATED.get(kind, _NONE) | DEFAULTED.get(kind, _NONE)
    hints = typing.get_type_hints(source, include_extras=True)
    stated = []
    for field in fields(source):
        if field.name not in hidden:
            hint, optional = split_optional(hints[field.name])
            stated.append((field.name, hint, optional or field.name in relaxed))
    return stated


def _nested_fields(source: type) -> list[tuple[str, Any, bool]]:
    hints = typing.get_type_hints(source, include_extras=True)
    stated = [(field.name, *split_optional(hints[field.name])) for field in fields(source)]
    if source is Observed:
        stated.append(("worker", Id, True))
    if source is Evidence:
        # The signed request itself, to be committed to.
        stated = [(name, str if name == "request" else hint, optional) for name, hint, optional in stated]
    return stated


def _field_type(name: str, hint: Any) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        return _make_struct(hint.__name__, _nested_fields(hint), None)
    if is_instant(name):
        return int | str
    if typing.get_origin(hint) is not Annotated:
        return hint
    base, note = typing.get_args(hint)
    if isinstance(note, Bounds):
        return Annotated[int, msgspec.Meta(ge=note.low, le=note.high)]
    if isinstance(note, SortedSet):
        return Annotated[list[str], msgspec.Meta(min_length=note.count_min)]
    return base


def _make_struct(name: str, stated: list[tuple[str, Any, bool]], kind: str | None) -> type[msgspec.Struct]:
    members: list[Any] = []
    for member, hint, optional in stated:
        made = _field_type(member, hint)
        # Unset and not None: a record has no null, and what was not stated must not look as if it had been.
        members.append((member, made | msgspec.UnsetType, msgspec.UNSET) if optional else (member, made))
    return (
        msgspec.defstruct(
            f"{name}Record",
            members,
            kw_only=True,
            gc=False,
            forbid_unknown_fields=True,
            tag_field="kind",
            tag=kind,
        )
        if kind is not None
        else msgspec.defstruct(f"{name}Record", members, kw_only=True, gc=False, forbid_unknown_fields=True)
    )


def record_type() -> Any:
    """The union of the structs of all kinds that a record may have, for a decoder."""
    union: Any = None
    common: list[tuple[str, Any, bool]] = [("at", int, True), ("uid", str, True)]
    for kind in PLATFORM_KINDS:
        made = _make_struct(KINDS[kind].__name__, _stated_fields(kind) + common, kind)
        union = made if union is None else union | made
    return union


def shape_of(kind: str) -> Shape:
    """What the struct of ``kind`` leaves open."""
    instants, ids, sets = ["at"], [], {}
    inner_ids: list[tuple[str, str]] = []
    matched: list[tuple[str, str, Match, str]] = []
    for name, hint, _ in _stated_fields(kind):
        if is_instant(name):
            instants.append(name)
        elif isinstance(hint, type) and is_dataclass(hint):
            for inner, inner_hint, _ in _nested_fields(hint):
                pattern = _pattern_of(inner_hint)
                if pattern == ID_PATTERN:
                    inner_ids.append((name, inner))
                elif pattern is not None:
                    matched.append((name, inner, matcher(pattern), pattern.meaning))
        elif name in HARDLY_RECURRING:
            matched.append(("", name, matcher(ID_PATTERN), ID_PATTERN.meaning))
        elif hint in (Id, Tag):
            ids.append(name)
        elif typing.get_origin(hint) is Annotated and isinstance(typing.get_args(hint)[1], SortedSet):
            item = typing.get_args(typing.get_args(hint)[0])[0]
            sets[name] = _pattern_of(item) is not None
        else:
            pattern = _pattern_of(hint)
            if pattern is not None:
                matched.append(("", name, matcher(pattern), pattern.meaning))
    return Shape(tuple(instants), tuple(ids), tuple(inner_ids), tuple(matched), sets)


def _pattern_of(hint: Any) -> Pattern | None:
    if typing.get_origin(hint) is Annotated and isinstance(typing.get_args(hint)[1], Pattern):
        return cast(Pattern, typing.get_args(hint)[1])
    return None


KindFault = Literal["missing", "not text", "reserved", "unknown"]


def fault_of_kind(kind: object) -> KindFault | None:
    """Why no record may have ``kind``, or None when it may."""
    if kind is None:
        return "missing"
    if not isinstance(kind, str):
        return "not text"
    if kind in PLATFORM_KINDS:
        return None
    return "reserved" if kind in KINDS else "unknown"
