"""The parts of the service that take what second sources say, put together (ledger format, section 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.gateway.canaries import CanaryKeeper
from ledger.gateway.egress_counts import EgressCounts
from ledger.gateway.receipts import Confirmed, Receipts
from ledger.store.canaries import SqlCanaries
from ledger.vault.ed25519 import is_signed

if TYPE_CHECKING:
    from ledger.wiring.service import Service


def make_receipts(service: Service) -> Receipts:
    """What takes receipts, and tells of those that are about canaries."""

    def tell(confirmed: Sequence[Confirmed]) -> None:
        # Built only when there is something to tell.
        service.canaries.confirmed(confirmed)

    return Receipts(
        sequencer=service.ledger.sequencer,
        store=service.ledger.store,
        tickets=service.tickets,
        origin=service.ledger.origin,
        check=is_signed,
        on_taken=tell,
    )


def make_egress_counts(service: Service) -> EgressCounts:
    """What takes counts."""
    return EgressCounts(sequencer=service.ledger.sequencer, origin=service.ledger.origin, check=is_signed)


def make_canaries(service: Service) -> CanaryKeeper:
    """What plants canaries and records where they turn up."""
    return CanaryKeeper(
        sequencer=service.ledger.sequencer,
        canaries=SqlCanaries(service.ledger.engine),
        vault=service.vault,
        parties=service.parties,
        registry=service.registry,
        subscriptions=service.subscriptions,
        intake=service.intake,
        commitments=service.commitments,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
