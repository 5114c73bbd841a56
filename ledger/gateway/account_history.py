"""What became of an account's data: who may have it, and each delivery with its verdict (ledger format, section 1.4).

The entries come with the proof that they are all that the log recorded about the account, or a page of that, and nothing
else is shown. Each delivery is judged by the rule that the gate and the verifier share (:mod:`ledger.core.judgement`), with
the history that the log's writer has, as of the published checkpoint: what is recorded later is no part of the answer.

Who looks is recorded first, as for every look at somebody's history (:mod:`ledger.gateway.histories`): ``access.viewed`` is
durable before this returns anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger.audit.backing import find_copies, load_deliveries
from ledger.core.checkpoint import parse_checkpoint
from ledger.core.completeness import CompletenessBundle
from ledger.core.folding import OPEN_END_MS
from ledger.core.granted import Granted, find_granted
from ledger.core.history import History
from ledger.core.judgement import Judgement, judge
from ledger.core.note import parse_note
from ledger.core.timelines import timeline_of
from ledger.errors import ForkError, FormatError
from ledger.ports import Attempt, Codec
from ledger.sequencer.sequencer import Sequencer
from ledger.transparency.proving import Page, Prover

_TOLD_BY = ("delivery.attempted", "delivery.settled", "delivery.imported")
_JUDGED_AT_ONCE = 64
"""How many deliveries are judged before the log's writer gets its turn again."""


@dataclass(frozen=True, slots=True)
class Access:
    """A grant of the account: whose app may receive what, since when and until when; ``last_used_ms`` of what is shown.

    ``ends_ms`` is from when on it is dead, ``expires_at_ms`` its expiry; None for never.
    """

    granted: Granted
    expires_at_ms: int | None
    ends_ms: int | None
    last_used_ms: int | None


@dataclass(frozen=True, slots=True)
class AccountHistory:
    """All that is shown, with the ``bundle`` that proves it; ``time_ms`` is the ledger's clock at the checkpoint.

    ``refused`` are the entries of attempts that the gate kept from leaving. ``entries`` are typed, as those of the bundle.
    """

    bundle: CompletenessBundle
    origin: str
    tree_size: int
    root: bytes
    map_size: int
    count: int
    time_ms: int
    entries: Sequence[Any]
    accesses: Sequence[Access]
    deliveries: Sequence[Judgement]
    refused: Sequence[Any]

    @property
    def is_whole(self) -> bool:
        """Whether all entries about the account are shown."""
        return len(self.entries) == self.count


class AccountHistories:
    """Reads the histories of accounts. Safe from any thread."""

    def __init__(
        self, *, sequencer: Sequencer, codec: Callable[[], Codec], prover: Prover, record: Callable[..., None]
    ) -> None:
        """``record(account, actor=, purpose=)`` makes a look durable; ``codec`` makes a decoder for one thread."""
        self._sequencer = sequencer
        self._codec = codec
        self._prover = prover
        self._record = record

    def read(
        self, account: str, page: Page | None = None, *, actor: str, purpose: str | None = None
    ) -> AccountHistory:
        """The history of ``account`` (a tag), or the ``page`` of it; ``actor`` (``role:id``) looks, for ``purpose`` (an id).

        Whether a delivery repeats another is told of the entries shown together. Raises RejectedError where ``purpose`` is
        no id, UsageError before the first seal or where there is no such page, StoreError or ForkError where the log cannot
        be written or read.
        """
        self._record(account, actor=actor, purpose=purpose)
        bundle = self._prover.prove_key(f"acct:{account}", page)
        checkpoint = parse_checkpoint(parse_note(bundle.checkpoint).text)
        codec = self._codec()
        sealed = _decode(codec, bundle.index_sealed.entry)
        entries = {item.seq: _decode(codec, item.entry) for item in bundle.entries}
        places = _Places(entries | self._beside(codec, entries, checkpoint.size))
        deliveries = self._judge(places, checkpoint.size, sealed.recorded_at)
        return AccountHistory(
            bundle=bundle,
            origin=checkpoint.origin,
            tree_size=checkpoint.size,
            root=checkpoint.root,
            map_size=sealed.map_size,
            count=0 if bundle.row is None else bundle.row.count,
            time_ms=sealed.recorded_at,
            entries=list(entries.values()),
            accesses=self._accesses(account, deliveries, sealed.recorded_at),
            deliveries=[judged for judged in deliveries if judged.delivery.seqs[0] in entries],
            refused=[entry for entry in entries.values() if entry.kind == "delivery.refused"],
        )

    def _beside(self, codec: Codec, entries: dict[int, Any], size: int) -> dict[int, Any]:
        """The other entries of the attempts that are told in ``entries``, which stand on other pages."""
        told = [entry for entry in entries.values() if entry.kind in _TOLD_BY[:2]]
        uids = {
            uid
            for entry in told
            for uid in (
                f"{_TOLD_BY[0]}/{entry.delivery}/{entry.attempt}",
                f"{_TOLD_BY[1]}/{entry.delivery}/{entry.attempt}/transport",
                f"{_TOLD_BY[1]}/{entry.delivery}/{entry.attempt}/rescuer",
            )
        }
        rows = self._prover.fetch_by_uids(sorted(uids - {entry.uid for entry in told}))
        return {row.seq: _decode(codec, row.data) for row in rows if row.seq < size}

    def _judge(self, places: _Places, tree_size: int, time_ms: int) -> list[Judgement]:
        attempt = Attempt(places.told())
        deliveries = load_deliveries(attempt, places)

        def copies_in(history: History, _now_ms: int) -> set[tuple[int, ...]]:
            return find_copies([[attempt]], places, history, tree_size, time_ms)

        copies = self._sequencer.look(copies_in) if len(deliveries) > 1 else set()
        judged: list[Judgement] = []
        for start in range(0, len(deliveries), _JUDGED_AT_ONCE):
            block = deliveries[start : start + _JUDGED_AT_ONCE]

            def judge_block(history: History, _now_ms: int, block: Any = block) -> list[Judgement]:
                return [
                    judge(
                        replace(delivery, is_duplicate=positions in copies),
                        history,
                        tree_size=tree_size,
                        ledger_time_ms=time_ms,
                    )
                    for positions, delivery in block
                ]

            judged += self._sequencer.look(judge_block)
        return judged

    def _accesses(self, account: str, deliveries: Sequence[Judgement], at_ms: int) -> list[Access]:
        used: dict[str, int] = {}
        for judged in deliveries:
            if judged.backing is not None and judged.disclosure != "none":
                grant = judged.backing.grant
                used[grant] = max(used.get(grant, 0), judged.delivery.started_at_ms)

        def accesses_in(history: History, _now_ms: int) -> list[Access]:
            record = history.accounts.get(account)
            found = []
            for grant in [] if record is None else record.grants:
                granted, timeline = find_granted(history, grant.grant, at_ms), timeline_of(grant)
                if granted is None or timeline is None:
                    continue
                version = timeline.version_at(at_ms) or timeline.versions[0]
                ends_ms = None if granted.died_ms == OPEN_END_MS else granted.died_ms
                found.append(Access(granted, version.expires_at_ms, ends_ms, used.get(grant.grant)))
            return sorted(
                found, key=lambda one: (one.granted.is_dead, one.granted.began_at_ms, one.granted.grant)
            )

        return self._sequencer.look(accesses_in)


class _Places:
    """Entries by seq: what :func:`ledger.audit.backing.load_deliveries` reads from."""

    def __init__(self, entries: dict[int, Any]) -> None:
        self._entries = entries

    def entry(self, position: int) -> Any:
        """The entry at ``position``."""
        return self._entries[position]

    def told(self) -> tuple[int, ...]:
        """Where attempts are told of."""
        return tuple(sorted(seq for seq, entry in self._entries.items() if entry.kind in _TOLD_BY))


def _decode(codec: Codec, data: bytes) -> Any:
    try:
        return codec.decode(data)
    except FormatError as error:
        raise ForkError(f"a sealed entry is malformed ({error}): run `grantledger verify`") from error
