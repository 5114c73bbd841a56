"""Receipts that developers hand in, and the keys that they sign them with (ledger format, section 1.5).

Each receipt is looked at by itself: well formed, of this log, of the developer that hands it in, signed with the key that
the log says is its own, and with the ticket that it names. What does not hold is refused with the reason and leaves no
entry. What a receipt is *for* decides nothing here: one for a delivery that the log has no attempt of is just what receipts
are there for. The people concerned are looked up from the attempt, so that they find it.

The same receipt again is the entry that is there: its ``uid`` is made of what is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ledger.core.canonical import JsonValue
from ledger.core.chain import leaf_hash
from ledger.core.dsse import Envelope, parse_envelope
from ledger.core.receipts import Receipt, SignatureCheck, read_receipt
from ledger.core.source_keys import RECEIPTS
from ledger.core.uids import default_uid
from ledger.errors import FormatError, RejectedError
from ledger.gateway.reports import Taken, There
from ledger.gateway.ticketing import Tickets
from ledger.ports import EntryStore, StoredEntry
from ledger.sequencer.draft import Appended, Draft, expect
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX, Sequencer

RECEIPTS_MAX = BATCH_ITEMS_MAX
"""How many receipts one call takes."""

ATTEMPTS_LOOKED_UP_MAX = 8
"""How many attempts of a delivery are looked for by number; a ticket finds any."""

_LOOKED_UP = frozenset({"actor", "via", "attempt", "account", "subjects", "promise", "key", "signature"})

ReceiptFault = Literal["malformed", "another_log", "another_developer", "no_key", "signature", "ticket"]


class ReceiptRefused(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="rejected"):
    """The receipt is not in the log; its neighbours are."""

    code: ReceiptFault
    reason: Annotated[str, Meta(description="why, in a sentence")]


ReceiptResult = Taken | There | ReceiptRefused


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A receipt that is in the log: ``developer`` has the delivery, which is about ``account`` where that is known."""

    delivery: str
    developer: str
    account: str | None


@dataclass(frozen=True, slots=True)
class _Sound:
    """A receipt whose signature is right."""

    receipt: Receipt
    signature: bytes
    promise: bytes | None


def _tell_nobody(confirmed: Sequence[Confirmed]) -> None:
    """Nobody asked to be told."""


class Receipts:
    """Takes receipts and keys. Safe from any thread. ``on_taken`` is told of receipts that are in the log.

    Of one that was there before it is told again: nobody knows whether it was heard the first time.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        store: EntryStore,
        tickets: Tickets,
        origin: str,
        check: SignatureCheck,
        on_taken: Callable[[Sequence[Confirmed]], None] = _tell_nobody,
    ) -> None:
        self._sequencer = sequencer
        self._store = store
        self._tickets = tickets
        self._origin = origin
        self._check = check
        self._on_taken = on_taken

    def key_of(self, developer: str) -> str | None:
        """The public key (hex) that ``developer`` signs receipts with, None where it has set none."""
        return self._sequencer.look(lambda history, _: history.keys.in_force("developer", developer))

    def set_key(self, developer: str, key: str, actor: str) -> bool:
        """Let ``developer`` sign with the public ``key`` (64 hex digits) from now on; False where it does already.

        Raises RejectedError where ``key`` is none, or the ledger refuses.
        """
        current, now_ms = self._sequencer.look(
            lambda history, now_ms: (history.keys.in_force("developer", developer), now_ms)
        )
        if current == key:
            return False
        stated: dict[str, JsonValue] = {
            "developer": developer,
            "key": key,
            "purpose": RECEIPTS,
            "at": now_ms,
        }
        uid = default_uid("developer.key_set", stated)
        outcome = self._sequencer.append(
            Draft({**stated, "kind": "developer.key_set", "uid": uid, "actor": actor, "via": "api"})
        )
        return expect(outcome).created

    def take(self, items: Sequence[object], developer: str, actor: str) -> list[ReceiptResult]:
        """Append the receipts in ``items`` (JSON values) that ``developer`` hands in; a result for each, in order.

        At most :data:`RECEIPTS_MAX`; durable when this returns. Raises StoreError or ForkError where nothing is known; the
        same call may be made again.
        """
        assert len(items) <= RECEIPTS_MAX, f"at most {RECEIPTS_MAX} receipts come in one call"
        key = self.key_of(developer)
        results: list[ReceiptResult | None] = [None] * len(items)
        sound: list[tuple[int, _Sound]] = []
        for place, item in enumerate(items):
            read = self._read(item, developer, key)
            if isinstance(read, ReceiptRefused):
                results[place] = read
            else:
                sound.append((place, read))
        found = self._find_attempts([one for _, one in sound])
        drafts = [_draft(one, found.get(one.receipt), key or "", actor) for _, one in sound]
        confirmed = []
        if drafts:
            outcomes = self._sequencer.submit(drafts).result()
            for (place, one), draft, outcome in zip(sound, drafts, outcomes, strict=True):
                if isinstance(outcome, Appended):
                    made = Taken if outcome.created else There
                    results[place] = made(outcome.seq, outcome.leaf_hash.hex())
                    account: Any = draft.members.get("account")
                    confirmed.append(Confirmed(one.receipt.delivery, developer, account))
                else:
                    reason = getattr(outcome, "reason", "the receipt is refused")
                    results[place] = ReceiptRefused("signature", reason)
        if confirmed:
            self._on_taken(confirmed)
        return [_present(result) for result in results]

    def _read(self, item: object, developer: str, key: str | None) -> _Sound | ReceiptRefused:
        """The receipt in ``item`` where everything about it holds."""
        try:
            envelope, ticket = _take_apart(item)
            receipt = read_receipt(envelope)
        except FormatError as error:
            return ReceiptRefused("malformed", str(error))
        if receipt.log != self._origin:
            return ReceiptRefused(
                "another_log", f"the receipt is for another log; this one is {self._origin}"
            )
        if receipt.developer != developer:
            return ReceiptRefused("another_developer", "the receipt is another developer's than the API key")
        if key is None:
            return ReceiptRefused(
                "no_key", "no key to sign receipts with is registered: PUT /v1/receipts/key"
            )
        if not self._check(bytes.fromhex(key), envelope.signed_bytes(), envelope.signature):
            return ReceiptRefused("signature", "the receipt is not signed with the registered key")
        return self._with_ticket(receipt, envelope.signature, ticket)

    def _with_ticket(self, receipt: Receipt, signature: bytes, text: str | None) -> _Sound | ReceiptRefused:
        if receipt.promised is None:
            if text is not None:
                return ReceiptRefused("ticket", "the receipt does not state what its ticket promises")
            return _Sound(receipt, signature, None)
        if text is None:
            return ReceiptRefused("ticket", "the receipt states a promise: put the ticket beside it")
        try:
            ticket = self._tickets.check(text)
        except RejectedError as error:
            return ReceiptRefused("ticket", error.reason)
        if (ticket.seq, ticket.leaf_hash.hex()) != receipt.promised:
            return ReceiptRefused("ticket", "the ticket promises something else than the receipt states")
        return _Sound(receipt, signature, ticket.signature.signature)

    def _find_attempts(self, sound: Sequence[_Sound]) -> Mapping[Receipt, Mapping[str, Any]]:
        """The members of the attempt that each receipt is for, where the log has it."""
        rows = self._load_rows({one.receipt.delivery for one in sound})
        found: dict[Receipt, Mapping[str, Any]] = {}
        for one in sound:
            receipt = one.receipt
            row: StoredEntry | None
            if receipt.promised is None:
                of_delivery = rows.get(receipt.delivery, [])
                row = of_delivery[0] if of_delivery else None
            else:
                row = self._promised(receipt, rows.get(receipt.delivery, ()))
            if row is not None:
                found[receipt] = msgspec.json.decode(row.data)
        return found

    def _load_rows(self, deliveries: set[str]) -> dict[str, list[StoredEntry]]:
        uids = {
            f"{kind}/{delivery}/{attempt}": delivery
            for delivery in deliveries
            for kind in ("delivery.attempted", "delivery.imported")
            for attempt in range(1, ATTEMPTS_LOOKED_UP_MAX + 1)
        }
        rows: dict[str, list[StoredEntry]] = {}
        for uid, row in self._store.fetch_by_uids(list(uids)).items() if uids else ():
            rows.setdefault(uids[uid], []).append(row)
        return {delivery: sorted(each, key=lambda row: row.seq) for delivery, each in rows.items()}

    def _promised(self, receipt: Receipt, rows: Sequence[StoredEntry]) -> StoredEntry | None:
        """The attempt that the ticket promised: among ``rows``, or wherever it stands; None where it is not there."""
        assert receipt.promised is not None, "only a receipt with a ticket has one"
        seq, leaf = receipt.promised
        row = next((row for row in rows if row.seq == seq), None)
        if row is None:
            row = next(iter(self._store.fetch_range(seq, seq + 1)), None)
        if row is None or leaf_hash(row.data).hex() != leaf:
            return None
        members = msgspec.json.decode(row.data)
        is_its = members["kind"] == "delivery.attempted" and members["delivery"] == receipt.delivery
        return row if is_its else None


def _take_apart(item: object) -> tuple[Envelope, str | None]:
    """The envelope and the ticket beside it."""
    if not isinstance(item, dict):
        raise FormatError("a receipt is an envelope: an object with payload, payloadType and signatures")
    ticket = item.get("ticket")
    if ticket is not None and not isinstance(ticket, str):
        raise FormatError("ticket is text")
    return parse_envelope({name: value for name, value in item.items() if name != "ticket"}), ticket


def _draft(one: _Sound, attempted: Mapping[str, Any] | None, key: str, actor: str) -> Draft:
    stated = one.receipt.members()
    members: dict[str, Any] = {
        **stated,
        "kind": "delivery.receipt",
        "uid": default_uid("delivery.receipt", stated),
        "key": key,
        "signature": one.signature.hex(),
        "actor": actor,
        "via": "api",
    }
    if one.promise is not None:
        members["promise"] = one.promise.hex()
    if attempted is not None:
        members |= {"account": attempted["account"], "subjects": attempted["subjects"]}
        if one.receipt.promised is not None:
            members["attempt"] = attempted["attempt"]
    return Draft(members, compare_exclude=_LOOKED_UP)


def _present(result: ReceiptResult | None) -> ReceiptResult:
    assert result is not None, "each receipt has made a draft, or its result"
    return result
