"""One batch: drafts judged in order, each on the state after the one before it, and linked (sections 1.1 and 1.5).

Nothing here is durable. The batch moves the state that it was given; whoever runs it commits the rows or throws the
state away. The order for each draft is: repeated ``uid``, looked-up members, bytes (the codec checks every member),
admission, link. An item that is rejected leaves no trace, so its neighbours are judged as if it had not been there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from ledger.core.admission import RULED_KINDS, check_admission
from ledger.core.canonical import JsonValue
from ledger.core.chain import leaf_hash
from ledger.core.completion import COMPLETED_KINDS, complete
from ledger.core.entries import LEDGER_MEMBERS, Entry
from ledger.core.history import STATE_KINDS, History
from ledger.errors import ForkError, FormatError, RejectedError
from ledger.ports import Change, Codec, NewEntry, StoredEntry
from ledger.ports.permit import Permit, Refused
from ledger.sequencer.draft import Appended, AttemptDraft, Decision, Draft, Rejection
from ledger.sequencer.gate import Backing, check_gate
from ledger.sequencer.instants import SEND_WINDOW_MS, Instants
from ledger.sequencer.state import Head, State

_SERVER_AT = frozenset({"at"})
_NEVER_STATED = frozenset({*LEDGER_MEMBERS, "previous_developer", "received_by"})
_GATE_MEMBERS = frozenset(
    {"at", "kind", "uid", "decided_at_size", "grant", "grant_version", "scope", "send_before"}
)
_REFUSED_MEMBERS = (
    "actor",
    "at",
    "via",
    "delivery",
    "attempt",
    "event",
    "event_type",
    "account",
    "subjects",
    "developer",
    "app",
    "environment",
    "endpoint",
)
_ATTEMPTED = "delivery.attempted"
assert _ATTEMPTED not in COMPLETED_KINDS | RULED_KINDS | STATE_KINDS, "a permitted attempt is only linked"

_begin_leaf_hash = sha256(b"\x00").copy


def uids_of(item: Draft | AttemptDraft) -> tuple[str, ...]:
    """The uids that decide whether ``item`` repeats an earlier one; none when it has none to look up."""
    if isinstance(item, AttemptDraft):
        return _attempt_uids(item.members)
    uid = item.members.get("uid")
    return (uid,) if isinstance(uid, str) else ()


def _attempt_uids(members: Mapping[str, JsonValue]) -> tuple[str, str]:
    delivery, attempt = members.get("delivery"), members.get("attempt")
    return f"delivery.attempted/{delivery}/{attempt}", f"delivery.refused/{delivery}/{attempt}"


class Batch:
    """Rows to append after ``state.head``, in the making.

    ``taken`` are the entries, durable or about to be, that hold one of the batch's uids; ``instants`` says when they are
    recorded, ``began_at_s`` when judging began, by the clock that permits end by. ``changes`` become durable with the rows;
    ``bearing`` are those of the rows that moved the history; ``prev`` is the link to what was there before.
    """

    def __init__(
        self,
        state: State,
        codec: Codec,
        taken: Mapping[str, StoredEntry | NewEntry],
        instants: Instants,
        began_at_s: float,
    ) -> None:
        self.rows: list[NewEntry] = []
        self.changes: list[Change] = []
        self.bearing: list[Entry] = []
        self._state = state
        self._history: History = state.history
        self._codec = codec
        self._instants = instants
        self._began_at_s = began_at_s
        self._start = state.head.size
        self.prev = state.head.link
        self._prev = self.prev
        self._held: dict[str, StoredEntry | NewEntry] = dict(taken)

    @property
    def head(self) -> Head:
        """The end of the log once the rows, of which there are some, are durable."""
        last, instants = self.rows[-1], self._instants
        return Head(last.seq + 1, last.leaf_hash, instants.now_ms, instants.is_shared, instants.turned)

    def find(self, uids: Iterable[str]) -> dict[str, StoredEntry | NewEntry]:
        """The rows of this batch that hold one of ``uids``, and those of ``taken`` that do."""
        held = self._held
        return {uid: held[uid] for uid in uids if uid in held}

    def judge_all(
        self, items: Iterable[Draft | AttemptDraft], uids: Iterable[Sequence[str]]
    ) -> list[Decision]:
        """The outcome of each of ``items``, valid once the rows are durable; ``uids`` has :func:`uids_of` each."""
        judge, judge_attempt = self.judge, self.judge_attempt
        return [
            judge(item, named) if isinstance(item, Draft) else judge_attempt(item, named)
            for item, named in zip(items, uids, strict=True)
        ]

    def judge(self, draft: Draft, uids: Sequence[str]) -> Appended | Rejection:
        """Append ``draft`` to the rows, or say why not, or find the entry that it repeats."""
        if not uids:
            return Rejection("the draft has no uid", "malformed")
        uid = uids[0]
        earlier = self._held.get(uid)
        if earlier is not None:
            exclude = draft.compare_exclude | _NEVER_STATED
            if "at" not in draft.members:
                exclude |= _SERVER_AT
            return _repeat(earlier, draft.members, exclude)
        if draft.overtaken is not None:
            reason = draft.overtaken(self._history, self._instants.now_ms)
            if reason is not None:
                return Rejection(reason, "conflict")
        row = self._append(uid, dict(draft.members), draft.live, draft.intended_endpoint, draft.is_checked)
        if isinstance(row, Rejection):
            return row
        if draft.changes:
            self.changes += draft.changes
        return Appended(row.seq, row.leaf_hash, row.data, True)

    def judge_attempt(self, draft: AttemptDraft, uids: Sequence[str]) -> Decision:
        """Append the attempt and give a permit, or append its refusal, or find what was decided about it before."""
        attempted_uid, refused_uid = uids
        held = self._held
        earlier = held.get(attempted_uid)
        if earlier is not None:
            # Whoever comes second, be it the same worker after a lost answer, gets no permit: the first may be sending.
            return _repeat(earlier, draft.members, draft.compare_exclude | _GATE_MEMBERS | _NEVER_STATED)
        earlier = held.get(refused_uid)
        if earlier is not None:
            return _repeat_refused(earlier, draft)
        try:
            answer = check_gate(self._history, draft.members, self._instants.now_ms)
        except RejectedError as error:
            return Rejection(error.reason, "malformed")
        if isinstance(answer, Backing):
            return self._permit(attempted_uid, draft, answer)
        refused = {name: draft.members[name] for name in _REFUSED_MEMBERS if name in draft.members}
        refused |= {"kind": "delivery.refused", "uid": refused_uid, "reason": answer.code}
        row = self._append(refused_uid, refused, live=True)
        if isinstance(row, Rejection):
            return row
        self.changes += draft.changes_if_refused
        return Refused(row.seq, row.leaf_hash, answer.code, True, answer.nearest)

    def _permit(self, uid: str, draft: AttemptDraft, backing: Backing) -> Permit | Rejection:
        now_ms = self._instants.now_ms
        # What is recorded by now and takes effect within the window ends the permit: a byte that leaves before it is
        # backed by all that was known.
        send_before_ms = min(now_ms + SEND_WINDOW_MS, backing.until_ms, self._state.next_change_ms(now_ms))
        seq = self._start + len(self.rows)
        members: dict[str, JsonValue] = {
            "at": now_ms,
            **draft.members,
            "kind": _ATTEMPTED,
            "uid": uid,
            "grant": backing.grant,
            "grant_version": backing.version,
            "scope": backing.scope,
            "decided_at_size": seq,
            "send_before": send_before_ms,
            "v": 1,
            "seq": seq,
            "prev": self._prev,
            "recorded_at": now_ms,
        }
        try:
            data = self._codec.encode_checked(members) if draft.is_checked else self._codec.encode(members)
        except FormatError as error:
            return Rejection(str(error), "malformed")
        self._instants.is_shared = True
        row = self._link(seq, uid, data, False)
        self.changes += draft.changes_if_permitted
        return Permit(
            seq,
            row.leaf_hash,
            str(members["delivery"]),
            _integer(members["attempt"]),
            str(members["endpoint"]),
            backing.url,
            send_before_ms,
            str(members["account"]),
            str(members["developer"]),
            str(members["app"]),
            backing.grant,
            self._began_at_s + (send_before_ms - now_ms) / 1_000,
        )

    def _append(
        self,
        uid: str,
        members: dict[str, JsonValue],
        live: bool,
        intended_endpoint: str | None = None,
        is_checked: bool = False,
    ) -> NewEntry | Rejection:
        """Put the entry of ``members``, which this method changes, at the end; ``uid`` is free."""
        seq = self._start + len(self.rows)
        kind = members.get("kind")
        now_ms = self._instants.of(kind, members) if isinstance(kind, str) else self._instants.now_ms
        if "at" not in members:
            members["at"] = now_ms
        members["v"] = 1
        members["seq"] = seq
        members["prev"] = self._prev
        members["recorded_at"] = now_ms
        try:
            if not isinstance(kind, str) or kind in COMPLETED_KINDS:
                try:
                    complete(members, self._history, seq, endpoint=intended_endpoint)
                except (AttributeError, KeyError, TypeError):
                    # Nobody has looked at these members yet. If they are malformed the codec says how, as a rejection
                    # of this one item; if they are not, the exception is a fault of ours and goes on.
                    self._codec.encode(members)
                    raise
            data = self._codec.encode_checked(members) if is_checked else self._codec.encode(members)
        except FormatError as error:
            return Rejection(str(error), "malformed")
        except RejectedError as error:
            return Rejection(error.reason)
        if kind in RULED_KINDS:
            reason = check_admission(self._history, members, live)
            if reason is not None:
                return Rejection(reason)
        assert isinstance(kind, str), "the codec accepted a kind that is none"
        self._instants.take(kind, members, now_ms)
        bearing = kind in STATE_KINDS
        if bearing:
            entry = self._codec.decode(data)
            self.bearing.append(entry)
            self._state.add(entry)
        return self._link(seq, uid, data, bearing)

    def _link(self, seq: int, uid: str, data: bytes, bearing: bool) -> NewEntry:
        """The row of the entry ``data``, put at the end."""
        leaf = _begin_leaf_hash()
        leaf.update(data)
        digest = leaf.digest()
        row = NewEntry(seq, uid, digest, data, bearing)
        self._prev = digest.hex()
        self.rows.append(row)
        self._held[uid] = row
        return row


def _repeat_refused(earlier: StoredEntry | NewEntry, draft: AttemptDraft) -> Refused | Rejection:
    """The earlier refusal where it is one of what ``draft`` states; else a conflict."""
    stated = {name: draft.members[name] for name in _REFUSED_MEMBERS if name in draft.members}
    exclude = draft.compare_exclude | _GATE_MEMBERS | _NEVER_STATED | {"reason"}
    repeated = _repeat(earlier, stated, exclude)
    if isinstance(repeated, Rejection):
        return repeated
    return Refused(
        repeated.seq, repeated.leaf_hash, msgspec.json.decode(repeated.data)["reason"], created=False
    )


def _repeat(
    earlier: StoredEntry | NewEntry, stated: Mapping[str, JsonValue], exclude: frozenset[str]
) -> Appended | Rejection:
    """The earlier entry where it says what is ``stated``, members in ``exclude`` left out; else a conflict."""
    before, now = _compared(_members_of(earlier), exclude), _compared(stated, exclude)
    if before != now:
        differing = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        return Rejection(
            f"the uid {earlier.uid} is taken by entry {earlier.seq} with another {', '.join(differing)}",
            "conflict",
        )
    return Appended(earlier.seq, earlier.leaf_hash, earlier.data, False)


def _members_of(earlier: StoredEntry | NewEntry) -> dict[str, JsonValue]:
    if leaf_hash(earlier.data) != earlier.leaf_hash:
        raise ForkError(
            f"entry {earlier.seq} in the database is not what was appended; run `grantledger verify`"
        )
    try:
        members: dict[str, JsonValue] = msgspec.json.decode(earlier.data)
    except msgspec.MsgspecError as error:
        raise ForkError(
            f"entry {earlier.seq} in the database is no entry ({error}); run `grantledger verify`"
        ) from error
    return members


def _compared(members: Mapping[str, JsonValue], exclude: frozenset[str]) -> dict[str, JsonValue]:
    """``members`` without those in ``exclude``; ``a.b`` there is the member ``b`` of the object ``a``."""
    compared: dict[str, JsonValue] = {}
    for name, value in members.items():
        if name not in exclude:
            if isinstance(value, dict):
                value = {inner: item for inner, item in value.items() if f"{name}.{inner}" not in exclude}
            compared[name] = value
    return compared


def _integer(value: JsonValue) -> int:
    assert isinstance(value, int), "the codec accepted a number that is none"
    return value
