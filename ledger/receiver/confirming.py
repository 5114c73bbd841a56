"""Receipts for what a receiver took: the smallest use of :mod:`ledger.receiver.receipts`."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.ports import Clock
from ledger.receiver.app import Arrival
from ledger.receiver.receipts import ReceiptSender, ReceiptSigner
from ledger.wiring.surroundings import SYSTEM_CLOCK


@dataclass(frozen=True, slots=True)
class Confirming:
    """Makes receipts with ``signer`` and hands them in with ``sender``."""

    signer: ReceiptSigner
    sender: ReceiptSender
    clock: Clock = SYSTEM_CLOCK

    def confirm(self, arrival: Arrival) -> None:
        """Confirm ``arrival``, where an app of ours signed it: what anybody may send is worth no receipt."""
        if arrival.is_signed:
            self.sender.put(self.signer.sign(arrival.headers, self.clock.now_ms()))
