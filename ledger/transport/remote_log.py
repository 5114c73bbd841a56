"""A published log at a URL, to be verified (C2SP tlog-tiles; transparency formats, sections 4.3 and 4.4).

Implements :class:`ledger.ports.LogSource` over HTTP. Nothing read here is trusted; what is not there becomes the fault of a
block or a missing tile, as with a directory, and the verifier says what follows from it. Whoever reads a log reads it in
order, so the files that come next are fetched meanwhile, several at a time and up to the end of a stretch of 65,536
entries, which is what one process reads at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.checkpoint import parse_checkpoint
from ledger.core.note import parse_note
from ledger.core.published_blocks import read_published
from ledger.core.tiles import ENTRIES_LEVEL, TILE_BYTES, TILE_WIDTH, TileId, format_path, parse_path, tile_at
from ledger.errors import FormatError, StoreError
from ledger.ports import Block
from ledger.transport.fetching import Fetcher, check_base_url

CHECKPOINT_BYTES_MAX = 1 << 19
BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)
AHEAD = 16
"""Files fetched ahead of the one that was asked for."""
STRETCH_TILES = 256


@dataclass(slots=True)
class RemoteLog:
    """The log at ``url`` as far as its checkpoint ``note`` says that it reaches (``size``, unchecked).

    The checkpoint is read once: what is published while the log is read belongs to the next verification. ``api_key`` is
    presented with every request. Picklable; each process opens connections of its own at first use.
    """

    url: str
    size: int
    note: bytes
    api_key: str | None = field(default=None, repr=False)
    trusted_ca_pem: str | None = field(default=None, repr=False)
    _files: _Files | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, url: str, api_key: str | None = None, trusted_ca_pem: str | None = None) -> RemoteLog:
        """The log at ``url``; raises StoreError when it has no checkpoint or cannot be asked, UsageError for a bad URL.

        Where what it shows is no checkpoint, the log has no entries that could be asked for.
        """
        url = check_base_url(url, with_key=api_key is not None)
        note = fetch_checkpoint(url, api_key, trusted_ca_pem)
        try:
            return cls(url, parse_checkpoint(parse_note(note).text).size, note, api_key, trusted_ca_pem)
        except FormatError:
            return cls(url, 0, note, api_key, trusted_ca_pem)

    def __getstate__(self) -> Any:
        return self.url, self.size, self.note, self.api_key, self.trusted_ca_pem

    def __setstate__(self, state: Any) -> None:
        self.url, self.size, self.note, self.api_key, self.trusted_ca_pem = state
        self._files = None

    def _opened(self) -> _Files:
        if self._files is None:
            self._files = _Files(Fetcher(self.url, self.api_key, self.trusted_ca_pem), self.size)
        return self._files

    def close(self) -> None:
        """Close this process's connections; they are opened again at the next use."""
        if self._files is not None:
            self._files.close()
            self._files = None

    def describe(self) -> str:
        """The log's URL."""
        return self.url

    def size_available(self) -> int:
        """The size that the checkpoint claims."""
        return self.size

    def checkpoint(self) -> bytes | None:
        """The checkpoint as it was published when the log was opened."""
        return self.note

    def read_block(self, first: int, count: int) -> Block:
        """Entries of whole bundles: ``first`` is a multiple of 256, and so is ``count`` unless the log ends there."""
        return Block(first, *read_published(first, count, self.size, self._opened().load))

    def read_bundle(self, index: int, into: memoryview) -> int | None:
        """Read a full bundle of the log; None where there is none by its name."""
        if (index + 1) * TILE_WIDTH > self.size:
            return None
        data = self._opened().load(TileId(ENTRIES_LEVEL, index, TILE_WIDTH))
        if data is None:
            return None
        size = min(len(data), len(into))
        into[:size] = data[:size]
        return size

    def read_tile(self, path: str) -> bytes | None:
        """A published hash tile, or None where there is none; raises FormatError for what is no tile's path."""
        return self._opened().load(parse_path(path))


def fetch_checkpoint(url: str, api_key: str | None = None, trusted_ca_pem: str | None = None) -> bytes:
    """What the log at ``url`` publishes as its checkpoint now, unchecked; raises StoreError, UsageError."""
    fetcher = Fetcher(url, api_key, trusted_ca_pem)
    try:
        fetched = fetcher.get("checkpoint", CHECKPOINT_BYTES_MAX)
    finally:
        fetcher.close()
    if fetched.status != 200:
        raise StoreError(f"{url}/checkpoint: the server answers {fetched.status}; is this a published log?")
    return fetched.body


class _Files:
    """The log's files, fetched and fetched ahead; safe from any number of threads."""

    def __init__(self, fetcher: Fetcher, size: int) -> None:
        self._fetcher = fetcher
        self._size = size
        self._pool = ThreadPoolExecutor(AHEAD, "remote-log")
        self._lock = threading.Lock()
        self._ahead: dict[TileId, Future[bytes | None]] = {}
        self._last: dict[int, int] = {}

    def close(self) -> None:
        """Give up what is being fetched."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._fetcher.close()

    def load(self, tile: TileId) -> bytes | None:
        """The file's bytes, or None where there is none; raises StoreError when it cannot be read."""
        with self._lock:
            waiting = self._ahead.pop(tile, None)
            is_next = self._last.get(tile.level, -1) + 1 == tile.index
            self._last[tile.level] = tile.index
            if waiting is not None or is_next or tile.index % STRETCH_TILES == 0:
                # Asked for in order, so more will be; what was fetched for nothing before is forgotten.
                self._forget(tile)
                for following in self._following(tile):
                    if following not in self._ahead:
                        self._ahead[following] = self._pool.submit(self._fetch, following)
        return self._fetch(tile) if waiting is None else waiting.result()

    def _forget(self, tile: TileId) -> None:
        for known in [one for one in self._ahead if one.level == tile.level]:
            if not tile.index < known.index <= tile.index + AHEAD:
                self._ahead.pop(known).cancel()

    def _following(self, tile: TileId) -> Iterable[TileId]:
        end = min(tile.index + AHEAD + 1, (tile.index // STRETCH_TILES + 1) * STRETCH_TILES)
        following = (tile_at(tile.level, index, self._size) for index in range(tile.index + 1, end))
        return [one for one in following if one is not None]

    def _fetch(self, tile: TileId) -> bytes | None:
        path = format_path(tile)
        bytes_max = BUNDLE_BYTES_MAX if tile.level == ENTRIES_LEVEL else TILE_BYTES
        fetched = self._fetcher.get(path, bytes_max)
        if fetched.status == 404:
            return None
        if fetched.status in (401, 403):
            raise StoreError(
                f"{path}: the log shows this to auditors only ({fetched.status}): present an API key of the role "
                "auditor with --api-key or GRANTLEDGER_API_KEY"
            )
        if fetched.status != 200:
            raise StoreError(f"{path}: the log's server answers {fetched.status}")
        return fetched.body
