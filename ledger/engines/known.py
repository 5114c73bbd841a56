"""Entries of known kinds, many at once, from bytes that are surely canonical and well typed (ledger format, 1.1, 1.7).

The whole list is decoded and encoded again. If that does not give back the very same bytes, or a pattern does not match,
the answer is "not sure": then the core's codec reads the entries one by one and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import msgspec

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.entries import KINDS
from ledger.engines.codec import is_plain
from ledger.engines.patterns import KindColumns
from ledger.engines.structs import known_entry_type

_first_byte, _last_byte = itemgetter(0), itemgetter(-1)


class KnownDecoder:
    """Decodes lists of entries; not for use by several threads at once."""

    def __init__(self) -> None:
        self._decode_list = msgspec.json.Decoder(list[known_entry_type()]).decode  # type: ignore[misc]
        self._encode = msgspec.json.Encoder(order="sorted").encode
        self._columns = {kind: KindColumns(kind) for kind in KINDS}

    def decode(self, data: bytes) -> Any:
        """The entry, or None where not sure."""
        entries = self.decode_all([data])
        return None if entries is None else entries[0]

    def decode_all(self, data: Sequence[bytes]) -> list[Any] | None:
        """All entries, or None where one of them is not surely of a known kind, well typed and canonical."""
        joined = b"[" + b",".join(data) + b"]"
        if not data or not is_plain(joined) or max(map(len, data)) > ENTRY_BYTES_MAX:
            return None
        try:
            entries: list[Any] = self._decode_list(joined)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        # One entry's bytes could hold two objects, or half of one: the number and each seam must be as cut.
        count = len(data)
        if len(entries) != count or self._encode(entries) != joined:
            return None
        if bytes(map(_first_byte, data)) != b"{" * count or bytes(map(_last_byte, data)) != b"}" * count:
            return None
        # A seam may lie inside of a text as well: then the seam between those two entries is one more.
        if joined.count(b"},{") != count - 1:
            return None
        groups: dict[str, list[Any]] = {}
        for entry in entries:
            groups.setdefault(entry.kind, []).append(entry)
        return entries if all(self._columns[kind].match(group) for kind, group in groups.items()) else None
