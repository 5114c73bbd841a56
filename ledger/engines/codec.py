"""The entry codec of ``ledger.core.entries`` on msgspec: the same answers, some ten times as fast.

Everything that is not surely right is handed to the core's own codec, which decides and words the refusal. So the
two cannot differ in what they accept, only in how long it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, cast

import msgspec

from ledger.core.canonical import ENTRY_BYTES_MAX, JsonValue
from ledger.core.entries import KINDS, Entry, decode_entry, encode_entry
from ledger.core.entries.codec import rules_of
from ledger.engines.member_check import MemberCheck
from ledger.engines.patterns import SingleMatch, member_checks
from ledger.engines.structs import known_entry_type


def is_plain(data: bytes) -> bool:
    """Whether ``data`` has only characters that canonical bytes may have (newlines between entries aside)."""
    return data.isascii() and b"\\" not in data and b"\x7f" not in data


def _fields_of(source: type[Entry]) -> type[msgspec.Struct]:
    """A struct with the members of a kind in canonical order, of any type; optional ones are left out when unset."""
    members: list[Any] = [
        (rule.name, Any, msgspec.UNSET) if rule.optional else (rule.name, Any)
        for rule in sorted(rules_of(source), key=attrgetter("name"))
    ]
    return msgspec.defstruct(f"{source.__name__}Fields", members, kw_only=True, gc=False)


class MsgspecCodec:
    """Implements ``ledger.ports.Codec``. Not for use by several threads at once."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder(order="sorted").encode
        self._encode_fields = msgspec.json.Encoder(order="deterministic").encode
        self._fields: dict[Any, type[msgspec.Struct]] = {
            kind: _fields_of(source) for kind, source in KINDS.items()
        }
        self._decode = msgspec.json.Decoder(known_entry_type()).decode
        self._check = {kind: MemberCheck(source) for kind, source in KINDS.items()}
        self._matches = {kind: SingleMatch(member_checks(kind)) for kind in KINDS}

    def _typed(self, data: bytes) -> Any:
        """The struct of an entry whose bytes are surely canonical and well typed, or None."""
        if len(data) > ENTRY_BYTES_MAX or not is_plain(data):
            return None
        try:
            entry: Any = self._decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return entry if self._matches[entry.kind](entry) else None

    def _check_of(self, members: Mapping[str, JsonValue]) -> MemberCheck | None:
        kind = members.get("kind")
        return self._check.get(kind) if type(kind) is str else None

    def encode(self, members: Mapping[str, JsonValue]) -> bytes:
        """Canonical bytes of an entry; raises FormatError where ``encode_entry`` does."""
        check = self._check_of(members)
        if check is not None and check(members):
            data = self._encode(members)
            if len(data) <= ENTRY_BYTES_MAX:
                return data
        return encode_entry(members)

    def check_stated(self, members: Mapping[str, JsonValue]) -> bool:
        """Whether the members that are there are surely well typed for their kind."""
        check = self._check_of(members)
        return check is not None and check.stated(members)

    def encode_checked(self, members: Mapping[str, JsonValue]) -> bytes:
        """:meth:`encode` of members whose stated ones passed :meth:`check_stated`; the rest is the ledger's own."""
        try:
            # A struct takes all members of its kind and no others; its fields stand in canonical order already.
            data = self._encode_fields(self._fields[members["kind"]](**members))
        except (KeyError, TypeError):
            return encode_entry(members)
        return data if len(data) <= ENTRY_BYTES_MAX else encode_entry(members)

    def decode(self, data: bytes) -> Entry:
        """The typed entry; raises FormatError where ``decode_entry`` does."""
        entry = self._typed(data)
        if entry is not None and self._encode(entry) == data:
            return cast(Entry, entry)
        return decode_entry(data).entry
