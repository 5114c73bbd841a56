"""The log as a stream of events for other systems, from any entry on, with a cursor (exports, section 5.5).

Events come in the order of the log, each durable entry once, from the cursor on. The cursor is the number of the next entry;
it moves only after whoever takes the events has them. So after a crash some may come again, with the same ids, and none is
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ledger.core.jcs import decode_file, encode_file
from ledger.core.shapes import read_shape
from ledger.errors import ForkError, FormatError, UsageError
from ledger.exports.bag_writer import write_whole
from ledger.exports.cloud_events import cloud_event
from ledger.exports.ocsf import ocsf_event
from ledger.ports import EntryStore, StoredEntry

BATCH = 1_000
_CURSOR = {"next": int, "origin": str}

Mapped = Callable[[str, StoredEntry, Mapping[str, Any]], dict[str, Any]]

FORMATS: Final[Mapping[str, Mapped]] = MappingProxyType({"cloudevents": cloud_event, "ocsf": ocsf_event})
"""What an entry becomes, by the name of the format."""

_decode = msgspec.json.Decoder(type=dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events, a line each, and the cursor behind them."""

    lines: bytes
    count: int
    next_seq: int


class EventStream:
    """The events of one log in one format."""

    def __init__(self, store: EntryStore, origin: str, form: str) -> None:
        """Raises UsageError for a format that is none."""
        if form not in FORMATS:
            raise UsageError(f"{form!r} is no format: write one of {', '.join(sorted(FORMATS))}")
        self._store = store
        self._origin = origin
        self._mapped = FORMATS[form]

    def read(self, start: int, limit: int = BATCH) -> Batch:
        """At most ``limit`` events from the entry ``start`` on; none where there is none yet.

        Raises UsageError where the log has never had so many entries, ForkError where one is not there.
        """
        size = self._store.size()
        if start > size:
            raise UsageError(
                f"the log has {size} entries and the cursor stands at {start}: it is of another log, or this one was set back"
            )
        end = min(start + limit, size)
        lines = bytearray()
        following = start
        for row in self._store.fetch_range(start, end):
            if row.seq != following:
                break
            lines += _encode(self._mapped(self._origin, row, _decode(row.data)))
            lines += b"\n"
            following += 1
        if following != end:
            raise ForkError(f"entry {following} is not in the database: run `grantledger verify`")
        return Batch(bytes(lines), following - start, following)

    def batches(self, start: int) -> Iterator[Batch]:
        """All events from ``start`` up to what is durable when the last ones are read."""
        while (batch := self.read(start)).count:
            yield batch
            start = batch.next_seq


class CursorFile:
    """A cursor in a file, which is replaced whole: after a power cut it is this one or the one before."""

    def __init__(self, path: Path, origin: str) -> None:
        """Nothing is read yet."""
        self._path = path
        self._origin = origin

    def load(self) -> int | None:
        """The number of the next entry, or None where there is no file; UsageError where it is of another log, or none."""
        if not self._path.exists():
            return None
        try:
            read = read_shape(decode_file(self._path.read_bytes()), _CURSOR, "the cursor")
        except FormatError as error:
            raise UsageError(
                f"{self._path} is no cursor ({error}): remove it and name an entry with --from"
            ) from None
        if read["origin"] != self._origin:
            raise UsageError(f"{self._path} is the cursor of the log {read['origin']}: name another file")
        return int(read["next"])

    def save(self, next_seq: int) -> None:
        """Everything before ``next_seq`` was taken; durable when this returns."""
        write_whole(self._path, encode_file({"next": next_seq, "origin": self._origin}))
