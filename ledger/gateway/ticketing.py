"""Tickets of this log: handed out for attempts, and taken back with the deliveries that they went along with (1.5).

A ticket that comes back was signed by this log, or it is none of its tickets. That its entry is there, with that leaf
hash, is this log's own promise: where it is not, the log has been put back or replaced since, and the ticket is the
evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ledger.core.chain import leaf_hash
from ledger.core.note import Signer, Verifier
from ledger.core.ticket import Ticket, check_ticket, format_ticket
from ledger.errors import ForkError, FormatError, RejectedError, SignatureError
from ledger.ports import EntryStore, StoredEntry


class Tickets:
    """The tickets of the log ``origin``. Safe from any thread."""

    def __init__(self, origin: str, signer: Signer, verifiers: Iterable[Verifier]) -> None:
        """``signer`` is the log's key by now, ``verifiers`` are all that it ever signed tickets with."""
        self._origin = origin
        self._signer = signer
        self._verifiers = tuple(verifiers)

    def sign(self, seq: int, leaf_hash: bytes) -> str:
        """The ticket for the durable entry ``seq`` with ``leaf_hash``."""
        return format_ticket(self._origin, seq, leaf_hash, self._signer)

    def check(self, text: str) -> Ticket:
        """The ticket ``text`` of this log; raises RejectedError where it is none."""
        try:
            ticket = check_ticket(text, self._verifiers)
        except FormatError:
            raise RejectedError("the ticket is not one: <origin>/<seq>:<leaf hash> <signature>") from None
        except SignatureError:
            raise RejectedError("the ticket is not signed by this log") from None
        assert ticket.origin == self._origin, "the log's key signs under the log's name alone"
        return ticket


def find_authorizations(
    store: EntryStore, attempts: Sequence[tuple[str, int]]
) -> Mapping[tuple[str, int], StoredEntry]:
    """The durable ``delivery.attempted`` of each of ``attempts`` (delivery, attempt), where there is one."""
    uids = {f"delivery.attempted/{delivery}/{attempt}": (delivery, attempt) for delivery, attempt in attempts}
    if not uids:
        return {}
    return {uids[uid]: row for uid, row in store.fetch_by_uids(list(uids)).items()}


def check_authorization(store: EntryStore, ticket: Ticket, row: StoredEntry | None) -> StoredEntry:
    """``row``, the attempt of the delivery that came with ``ticket``, where it is what the ticket promised.

    Raises RejectedError where the ticket belongs to another attempt, and ForkError where it promises an entry that this
    log does not hold: a signed promise that was broken.
    """
    if row is not None and row.seq == ticket.seq and leaf_hash(row.data) == ticket.leaf_hash:
        return row
    promised = next(iter(store.fetch_range(ticket.seq, ticket.seq + 1)), None)
    if promised is None or leaf_hash(promised.data) != ticket.leaf_hash:
        raise ForkError(
            f"a ticket signed by this log promises entry {ticket.seq} with leaf hash {ticket.leaf_hash.hex()}, "
            "which is not there: keep the ticket, and run `grantledger verify`"
        )
    raise RejectedError("the ticket belongs to another delivery or attempt")
