"""One record, strictly (ledger format, section 1.6): JSON or a row -> its members, or the reason why not.

What comes out has instants in milliseconds and lists as sorted sets; people are still the platform's ids. Everything
about the record alone is checked here, so that a record that passes makes a well-formed entry; what depends on the
history (an unknown grant, an unknown scope, a URL nobody may own) is the sequencer's to judge. Nothing here reads a
clock or a store.

A record has no member that its kind does not list, no member twice, no null and no float; its text is printable ASCII
without ``"`` and ``\\``, escapes resolved. Most lines are plain (no escape, no byte beyond ASCII) and take a short way
through msgspec, whose struct keeps the last of a repeated member: such a line is noticed because what was decoded,
encoded again, has fewer quotation marks than the line. Whatever is not plain, or wrong, goes through the standard
library's parser, which sees every member; the reason comes from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, cast

import msgspec

from ledger.core.canonical import JsonValue
from ledger.core.strict import shown
from ledger.core.timestamps import parse_instant
from ledger.errors import FormatError, RejectedError
from ledger.ingest.schema import (
    ID_PATTERN,
    LOOKED_UP,
    PLATFORM_KINDS,
    TAG_PATTERN,
    UID_PATTERN,
    Shape,
    fault_of_kind,
    matcher,
    record_type,
    shape_of,
)

_REMEMBERED_IDS_MAX = 200_000
_PEOPLE = ("account", "subjects")

_match_id = matcher(ID_PATTERN)
_match_tag = matcher(TAG_PATTERN)
_match_uid = matcher(UID_PATTERN)
_match_text = re.compile(r"[ !#-\[\]-~]*").fullmatch
_match_printable = re.compile(r"[ -~]*").fullmatch
_match_unknown_member = re.compile(r"Object contains unknown field `(.*?)`(.*)", re.DOTALL).fullmatch

_KIND_REASONS = {
    "missing": "the record has no kind",
    "not text": "the kind is not text",
    "unknown": "the kind is unknown",
    "reserved": "entries of this kind are the ledger's own: no record states them",
}


class Record(NamedTuple):
    """A record that says something: ``kind``, and all ``members`` that it states, ``kind`` among them.

    Only :class:`RecordReader` makes one, and it has checked every member. ``people`` are the platform's ids of
    everybody it names, the granting account (where stated) first.
    """

    kind: str
    members: dict[str, JsonValue]
    people: tuple[str, ...]


class RecordReader:
    """Reads records one by one; ``at_required`` holds for files, where nobody could say later when it was.

    Not for use by several threads at once.
    """

    def __init__(self, *, at_required: bool) -> None:
        union = record_type()
        self._at_required = at_required
        self._union = union
        self._decode = msgspec.json.Decoder(union).decode
        self._encode = msgspec.json.Encoder().encode
        self._shapes: dict[str, Shape] = {kind: shape_of(kind) for kind in PLATFORM_KINDS}
        # Ids that were found to be good, and None for a member that is left out.
        self._good_ids: set[str | None] = {None}

    def read(self, raw: bytes | Mapping[str, object]) -> Record:
        """The record in one line of JSON, or in the members of a row.

        Raises RejectedError with the reason when it is none; the reason repeats no id of a person.
        """
        if isinstance(raw, bytes):
            members = self._read_plain(raw)
            if members is None:
                members = self._read_members(_parse(raw))
        else:
            members = self._read_members(raw)
        return self._finish(cast(str, members["kind"]), members)

    def _read_plain(self, line: bytes) -> dict[str, Any] | None:
        if not line.isascii() or b"\\" in line or b"\x7f" in line:
            return None
        try:
            stated = self._decode(line)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return None
        if self._encode(stated).count(b'"') != line.count(b'"'):
            return None
        return cast("dict[str, Any]", msgspec.to_builtins(stated))

    def _read_members(self, members: Mapping[str, object]) -> dict[str, Any]:
        kind = members.get("kind")
        fault = fault_of_kind(kind)
        if fault is not None:
            named = f" ({shown(kind)})" if isinstance(kind, str) else ""
            raise RejectedError(_KIND_REASONS[fault] + named)
        try:
            stated = cast("dict[str, Any]", msgspec.to_builtins(msgspec.convert(members, self._union)))
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise RejectedError(_reason_of(cast(str, kind), str(error))) from None
        for name, value in stated.items():
            _check_text(name, value)
        return stated

    def _finish(self, kind: str, members: dict[str, Any]) -> Record:
        shape = self._shapes[kind]
        get = members.get
        for name in shape.instants:
            instant = get(name)
            if instant is not None:
                try:
                    members[name] = parse_instant(instant)
                except FormatError as error:
                    raise RejectedError(f"member {name}: {error}") from None
        good = self._good_ids
        if not good.issuperset(map(get, shape.ids)):
            for name in shape.ids:
                value = get(name)
                if value is not None and value not in good:
                    self._check_id(name, value)
        for outer, name in shape.inner_ids:
            holder = get(outer)
            value = None if holder is None else holder.get(name)
            if value is not None and value not in good:
                self._check_id(name, value)
        for outer, name, match, meaning in shape.matched:
            if outer:
                holder = get(outer)
                value = None if holder is None else holder.get(name)
            else:
                value = get(name)
            if value is not None and not match(value):
                _refuse_pattern(f"{outer}.{name}" if outer else name, value, meaning)
        for name, of_ids in shape.sets.items():
            items = get(name)
            if items:
                if of_ids and not good.issuperset(items):
                    for item in items:
                        if item not in good:
                            self._check_id(name, item)
                if len(items) > 1:
                    members[name] = sorted(set(items))
        if kind == "delivery.imported":
            _finish_delivery(members)
        elif self._at_required and "at" not in members:
            raise RejectedError("the record has no at: a file says when each thing took effect")
        people = _people_of(members)
        if "uid" in members:
            _check_uid(kind, members["uid"], people)
        return Record(kind, members, people)

    def _check_id(self, name: str, value: str) -> None:
        if not _match_id(value):
            if name in _PEOPLE:
                raise RejectedError(f"member {name} names somebody by what is not {ID_PATTERN.meaning}")
            _refuse_pattern(name, value, ID_PATTERN.meaning)
        if _match_tag(value):
            if name in _PEOPLE:
                raise RejectedError(
                    f"member {name} holds a tag of the ledger where the platform's own id belongs"
                )
            return  # remembered, it would pass for a person
        if len(self._good_ids) >= _REMEMBERED_IDS_MAX:
            self._good_ids.clear()
        self._good_ids.update((None, value))


def _parse(line: bytes) -> Mapping[str, object]:
    """The object in ``line``; raises RejectedError where it is none, or has a member twice."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RejectedError(f"the line is not UTF-8 (byte {error.start})") from None
    if text.startswith("\ufeff"):
        raise RejectedError("the line begins with a byte order mark")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float)
    except RecursionError:
        raise RejectedError("the line is nested too deep") from None
    except json.JSONDecodeError as error:
        raise RejectedError(f"the line is not JSON: {error.msg} (column {error.colno})") from None
    except ValueError:  # more digits than Python converts
        raise RejectedError("the line has a number out of range") from None
    if not isinstance(value, dict):
        raise RejectedError("the line is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RejectedError(f"the member {shown(twice)} is there twice")
    return made


def _no_float(_text: str) -> NoReturn:
    # Not repeated: it may be somebody's id.
    raise RejectedError("the line has a number that is not an integer")


def _reason_of(kind: str, message: str) -> str:
    """What msgspec says about a record of ``kind``, in this project's words."""
    unknown = _match_unknown_member(message)
    if unknown is None:
        return f"{kind}: {message[:1].lower()}{message[1:]}".replace(" field ", " member ")
    name, place = unknown.groups()
    if not place and name in LOOKED_UP.get(kind, frozenset()):
        return f"{kind}: the member {name} is looked up by the ledger, a record does not state it"
    return f"{kind}: the member {shown(name)}{place} is not one of this kind's"


def _check_text(name: str, value: object) -> None:
    if isinstance(value, str):
        if not (_match_printable if name == "request" else _match_text)(value):
            raise RejectedError(f'member {name} has a character that is not printable ASCII, or is " or \\')
    elif isinstance(value, dict):
        for inner, item in value.items():
            _check_text(inner, item)
    elif isinstance(value, list):
        for item in value:
            _check_text(name, item)


def _refuse_pattern(name: str, value: str, meaning: str) -> NoReturn:
    raise RejectedError(f"member {name} {shown(value)} is not {meaning}")


def _finish_delivery(members: dict[str, Any]) -> None:
    """Fill in what a delivery leaves out, and check what its members say together."""
    if members.setdefault("at", members["started_at"]) != members["started_at"]:
        raise RejectedError("a delivery's at is its started_at; the record states another")
    observed = members.get("observed")
    if observed is not None:
        worker = observed.pop("worker", None)
        if worker is not None and members.setdefault("worker", worker) != worker:
            raise RejectedError("worker and observed.worker differ")
        if not observed:
            del members["observed"]
    members.setdefault("private", False)
    members.setdefault("channel", "push")
    if "disclosure" not in members:
        members["disclosure"] = "confirmed" if "status" in members else "possible"
    elif members["disclosure"] == "none" and "status" in members:
        raise RejectedError("a delivery with a status disclosed something: disclosure cannot be none")


def _people_of(members: Mapping[str, Any]) -> tuple[str, ...]:
    account = members.get("account")
    subjects = members.get("subjects") or ()
    return tuple(subjects) if account is None else (account, *subjects)


def _check_uid(kind: str, uid: str, people: tuple[str, ...]) -> None:
    if not _match_uid(uid):
        raise RejectedError(f"member uid is not {UID_PATTERN.meaning}")
    first, *rest = uid.split("/")
    if rest and first != kind and fault_of_kind(first) != "unknown":
        raise RejectedError("the uid begins with another kind: it belongs to an entry of that kind")
    bounded = f"/{uid}/"
    for person in people:
        if person in uid and re.search(f"[^A-Za-z0-9]{re.escape(person)}[^A-Za-z0-9]", bounded):
            raise RejectedError("the uid holds the id of a person; people stand in the log as tags only")
