"""What a developer received wrongly, by its own index (ledger format, section 1.4; incidents and exports, section 5.3).

The index of the published checkpoint says which entries name a developer, and proves that it leaves none out. Of those the
deliveries that it received are judged by the rule that gate and verifier share. So a list of an obligation is held against
something that does not come from where the list comes from: each of its lines must be there, and what is there and on no
list is told to whoever opens the obligation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.audit.backing import load_deliveries
from ledger.core.chain import leaf_hash
from ledger.core.history import History
from ledger.core.judgement import judge
from ledger.errors import ForkError, UsageError
from ledger.ports import Attempt, Codec, EntryStore
from ledger.ports.index import KeyPage, ProvableIndex
from ledger.sequencer.sequencer import Sequencer

PAGE = 2_000
_GAP = 64
"""How many entries in between are read along rather than asked past."""

_JUDGED_AT_ONCE = 64
_RECEIVING = ("delivery.settled", "delivery.imported")
_RECEIVING_BYTES = tuple(f'"kind":"{kind}"'.encode() for kind in _RECEIVING)

TAIL_MAX = 100_000
"""How many entries are read that the index does not hold yet."""

Named = tuple[str, int]
"""A delivery and its attempt."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a developer received, as the index has it: all of it, and what of it was unauthorized."""

    all: frozenset[Named]
    wrongly: frozenset[Named]


class DeveloperIndex:
    """Reads developers' indexes. Safe from any thread."""

    def __init__(
        self,
        *,
        proofs: ProvableIndex,
        store: EntryStore,
        sequencer: Sequencer,
        codec: Callable[[], Codec],
    ) -> None:
        """``codec`` makes a decoder for one thread."""
        self._proofs = proofs
        self._store = store
        self._sequencer = sequencer
        self._codec = codec

    def read(self, developer: str, tree_size: int) -> Received:
        """What ``developer`` received in entries below ``tree_size``.

        Raises UsageError where the published index is far behind that, ForkError where an entry is not what the index
        was made from, DamagedIndexError or StoreError where it cannot be read.
        """
        codec = self._codec()
        everything: set[Named] = set()
        wrongly: set[Named] = set()

        def take(entries: Iterable[Any]) -> None:
            received = [one for one in entries if _is_at(one, developer)]
            everything.update((one.delivery, one.attempt) for one in received)
            wrongly.update(self._judge(received, codec, tree_size))

        with self._proofs.snapshot() as snapshot:
            # A checkpoint's index ends before its own last entry: what stands behind it is read as it is.
            tail = range(snapshot.map_size, tree_size)
            if len(tail) > TAIL_MAX:
                raise UsageError(
                    f"the published index holds {snapshot.map_size} entries, and the list is over {tree_size}: "
                    "run `grantledger seal` first"
                )
            key = f"dev:{developer}"
            row = snapshot.load_row(key)
            count = 0 if row is None else row.count
            for first in range(0, count, PAGE):
                page = snapshot.load_page(key, first, PAGE)
                take(self._entries(page, tree_size, codec))
            take(self._tail(tail, codec))
        return Received(frozenset(everything), frozenset(wrongly))

    def _entries(self, page: KeyPage, below: int, codec: Codec) -> Iterator[Any]:
        """The entries of ``page`` that tell of something received, below a size, each held against its leaf hash."""
        hashes = dict(zip(page.seqs, page.leaf_hashes, strict=True))
        wanted = [seq for seq in page.seqs if seq < below]
        for start, end in _runs(wanted):
            for row in self._store.fetch_range(start, end):
                expected = hashes.get(row.seq)
                if expected is None:
                    continue
                if leaf_hash(row.data) != expected:
                    raise ForkError(
                        f"entry {row.seq} is not the one that the index has: `grantledger verify`"
                    )
                entry: Any = codec.decode(row.data)
                if entry.kind in _RECEIVING:
                    yield entry

    def _tail(self, tail: range, codec: Codec) -> Iterator[Any]:
        """The entries of ``tail`` that tell of something received."""
        for row in self._store.fetch_range(tail.start, tail.stop) if tail else ():
            if any(kind in row.data for kind in _RECEIVING_BYTES):
                yield codec.decode(row.data)

    def _judge(self, received: Sequence[Any], codec: Codec, tree_size: int) -> set[Named]:
        found: set[Named] = set()
        for start in range(0, len(received), _JUDGED_AT_ONCE):
            block = received[start : start + _JUDGED_AT_ONCE]
            places = _Places(block, self._beside(block, codec))
            deliveries = load_deliveries(Attempt(places.told()), places)

            def judge_block(history: History, now_ms: int, told: Any = deliveries) -> set[Named]:
                judged = [judge(one, history, tree_size=tree_size, ledger_time_ms=now_ms) for _, one in told]
                return {
                    (one.delivery.delivery, one.delivery.attempt)
                    for one in judged
                    if one.exposure is not None
                }

            found |= self._sequencer.look(judge_block)
        return found

    def _beside(self, received: Sequence[Any], codec: Codec) -> list[Any]:
        """The other entries of the attempts: the intended developer's, whose index has them."""
        uids = [
            uid
            for one in received
            if one.kind == "delivery.settled"
            for uid in (
                f"delivery.attempted/{one.delivery}/{one.attempt}",
                f"delivery.settled/{one.delivery}/{one.attempt}/transport",
                f"delivery.settled/{one.delivery}/{one.attempt}/rescuer",
            )
        ]
        rows = self._store.fetch_by_uids(uids) if uids else {}
        return [codec.decode(row.data) for row in rows.values()]


class _Places:
    """Entries by seq: what :func:`ledger.audit.backing.load_deliveries` reads from."""

    def __init__(self, *parts: Sequence[Any]) -> None:
        self._entries = {entry.seq: entry for part in parts for entry in part}

    def entry(self, position: int) -> Any:
        """The entry at ``position``."""
        return self._entries[position]

    def told(self) -> tuple[int, ...]:
        """Where attempts are told of."""
        return tuple(sorted(self._entries))


def _is_at(entry: Any, developer: str) -> bool:
    """Whether ``developer`` received something by ``entry``."""
    where = entry.received_by
    return where is not None and where.developer == developer and entry.disclosure != "none"


def _runs(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges that hold ``seqs``, which ascend, with few others in between."""
    start = end = -1
    for seq in seqs:
        if start >= 0 and seq - end > _GAP:
            yield start, end
            start = seq
        elif start < 0:
            start = seq
        end = seq + 1
    if start >= 0:
        yield start, end
