"""The index keys of a chunk's entries, as 64-bit ids (ledger format, sections 1.4 and 1.7).

``KeyColumns`` gives for every entry exactly the keys that ``ledger.core.index.index_keys`` gives for its members, but as
ids: hashes of the keys under the verification's secret, so that processes agree on them without asking. Each key's text is
made once for each process, for its position in the map. What becomes of two keys with one id is told in
:mod:`ledger.engines.key_files`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from ledger.core import canonical
from ledger.core.index import index_keys, key_position
from ledger.core.strict import is_tag
from ledger.engines.chunk_bytes import Integers
from ledger.engines.groups import Group
from ledger.engines.key_files import SHARDS, Ids, ShardRows
from ledger.engines.scan import ChunkScan
from ledger.engines.text_hash import WORD_BYTES, TextHash, Words, tag_words
from ledger.errors import FormatError

TAG_CHARACTERS = 34


@dataclass(slots=True)
class FoundKeys:
    """The keys of one chunk: ids that are new to this process with their positions, and the rows of each shard."""

    fresh_ids: Ids
    fresh_positions: bytes
    shards: Sequence[ShardRows]


@dataclass(slots=True)
class _Column:
    """Keys of one sort: which entries have them, their ids, and what makes their texts.

    The text is ``prefix``, then the tag of ``high`` and ``low`` where there is one, then ``suffixes[which[i]]``.
    """

    places: Integers
    ids: Ids
    prefix: str
    suffixes: Sequence[str]
    which: Any
    high: Words | None = None
    low: Words | None = None

    def text(self, row: int) -> str:
        tag = "" if self.high is None or self.low is None else f"a_{self.high[row]:016x}{self.low[row]:016x}"
        return f"{self.prefix}{tag}{self.suffixes[self.which[row]]}"


@dataclass(slots=True)
class KeyColumns:
    """Finds the keys of chunk after chunk; ``known`` are the ids told before, ascending, with their shards."""

    secret: bytes
    hashes: dict[str, TextHash]
    developers: dict[str, int] = field(default_factory=dict)
    known: Ids = field(default_factory=lambda: np.zeros(0, np.uint64))
    shards: Any = field(default_factory=lambda: np.zeros(0, np.uint8))

    @classmethod
    def under(cls, secret: bytes) -> KeyColumns:
        """Nothing known yet."""
        sorts = ("acct:", "subj:", "pair:", "")
        return cls(secret, {sort: TextHash(secret, f"key {sort}") for sort in sorts})

    def find(self, scan: ChunkScan) -> FoundKeys:
        """The keys of the entries of a whole chunk."""
        columns = [column for group in scan.groups for column in self._of_group(group)]
        columns.append(self._of_typed(scan))
        places = np.concatenate([column.places for column in columns])
        ids = np.concatenate([column.ids for column in columns])
        distinct, firsts, which = np.unique(ids, return_index=True, return_inverse=True)
        fresh_ids, positions = self._learn(distinct, firsts, columns)
        shards = self.shards[np.searchsorted(self.known, distinct)][which]
        order = np.argsort(places.astype(np.uint16), kind="stable")
        places, ids, shards = places[order], ids[order], shards[order]
        rows = [(places[shards == shard], ids[shards == shard]) for shard in range(SHARDS)]
        return FoundKeys(fresh_ids, positions, rows)

    def _learn(self, distinct: Ids, firsts: Integers, columns: Sequence[_Column]) -> tuple[Ids, bytes]:
        """Take in what is new among the ``distinct`` ids, each first seen in row ``firsts[i]`` of all columns."""
        at = np.searchsorted(self.known, distinct)
        is_new = np.ones(len(distinct), bool)
        inside = at < len(self.known)
        is_new[inside] = self.known[at[inside]] != distinct[inside]
        fresh = distinct[is_new]
        starts = np.cumsum([0, *(len(column.ids) for column in columns)])
        rows = firsts[is_new]
        of_column = np.searchsorted(starts, rows, side="right") - 1
        positions = [
            key_position(columns[column].text(row))
            for column, row in zip(of_column.tolist(), (rows - starts[of_column]).tolist(), strict=True)
        ]
        shards = np.array([position[0] >> 7 for position in positions], np.uint8)
        self.known = np.insert(self.known, at[is_new], fresh)
        self.shards = np.insert(self.shards, at[is_new], shards)
        return fresh, b"".join(positions)

    def _of_group(self, group: Group) -> Iterable[_Column]:
        places, none = group.places, np.zeros(len(group.places), np.int64)
        tags = group.tag("account") if "account" in group.layout.members else None
        if tags is not None:
            high, low = tags
            yield _Column(places, self._of_tags("acct:", high, low), "acct:", [""], none, high, low)
        for span in group.layout.tag_lists.get("subjects", ()):
            high, low = group.tag_at(span)
            yield _Column(places, self._of_tags("subj:", high, low), "subj:", [""], none, high, low)
        distinct, of_row = group.distinct()
        lists = [noted.developers for noted in distinct]
        for number in range(max(map(len, lists), default=0)):
            names = [names[number] if number < len(names) else "" for names in lists]
            has_name = np.array([number < len(names) for names in lists])[of_row]
            which = of_row[has_name]
            hashed = np.array([self._of_developer(name) for name in names], np.uint64)[which]
            yield _Column(places[has_name], hashed, "dev:", names, which)
            if tags is not None:
                high, low = tags[0][has_name], tags[1][has_name]
                ids = self.hashes["pair:"].with_number(self._of_tags("pair:", high, low), hashed)
                texts = [f":{name}" for name in names]
                yield _Column(places[has_name], ids, "pair:", texts, which, high, low)

    def _of_developer(self, name: str) -> int:
        """The id of a developer's key: a digest, since developers may choose their names."""
        known = self.developers.get(name)
        if known is None:
            digest = blake2b(name.encode(), key=self.secret, digest_size=WORD_BYTES).digest()
            known = self.developers[name] = int.from_bytes(digest)
        return known

    def _of_tags(self, sort: str, high: Words, low: Words) -> Ids:
        return self.hashes[sort].of_words((high, low))

    def _of_typed(self, scan: ChunkScan) -> _Column:
        """The keys of entries that came one by one, from their members as the core reads them."""
        places, texts = [], []
        for place, entry in scan.typed.items():
            data = scan.cut.entry(place)
            try:
                members = canonical.decode(data) if entry is None else msgspec.json.decode(data)
            except FormatError:
                continue
            for key in index_keys(members):
                places.append(place)
                texts.append(key)
        ids = np.array([self._id_of(key) for key in texts], np.uint64)
        return _Column(np.array(places, np.int64), ids, "", texts, range(len(texts)))

    def _id_of(self, key: str) -> int:
        """The id of a key's text: the same as in a column."""
        sort = key[: key.index(":") + 1]
        if sort == "dev:":
            return self._of_developer(key[len(sort) :])
        end = len(sort) + TAG_CHARACTERS
        tag, rest = key[len(sort) : end], key[end:]
        # Members of unknown kinds may hold any text where others hold tags.
        if not is_tag(tag) or (rest[:1] != ":" if sort == "pair:" else rest):
            return self.hashes[""].of_text(key)
        hashed = self.hashes[sort].of_numbers(*tag_words(tag))
        if sort == "pair:":
            return self.hashes[sort].with_one_number(hashed, self._of_developer(rest[1:]))
        return hashed
