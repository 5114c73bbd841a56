"""Faults of the kind that this service exists to prevent, put in on purpose: the simulation has to find each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ledger.gateway.delivering import Begun, Delivering, Prepared
from ledger.gateway.inflight import InFlight
from ledger.gateway.signing import Sender, Signing
from ledger.ports import Permit
from ledger.ports.sending import MayStart
from ledger.sequencer.batch import Batch
from ledger.sequencer.draft import AttemptDraft, Decision
from ledger.sequencer.instants import Instants
from tests.simulation.network import SimulatedTransport

CACHED_FOR_MS = 360_000


class HeedlessTransport(SimulatedTransport):
    """Looks at the time and asks nobody whether the body may leave."""

    def leaves(self, permit: Permit, may_start: MayStart) -> int | None:
        return super().leaves(permit, self.network.clock.now_ms)


class AddressTransport(SimulatedTransport):
    """Remembers the destination of an address and a path, as the dispatcher of 2018 did."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._remembered: tuple[str, int] | None = None

    def host_of(self, permit: Permit) -> str:
        now_ms = self.network.clock.now_ms()
        # Every host has the same address and the same path here, so there is one entry.
        if self._remembered is None or not 0 <= now_ms - self._remembered[1] < CACHED_FOR_MS:
            self._remembered = (super().host_of(permit), now_ms)
        return self._remembered[0]


def reuse_permits(patch: Callable[[type, str, Any], None]) -> None:
    """An attempt that was decided before is sent under the permit of then."""
    remembered: dict[tuple[str, int], Begun] = {}
    take = Delivering._take

    def take_again(
        self: Delivering, place: int, ready: Prepared, decision: Decision, results: Any, ended: Any
    ) -> None:
        parcel = ready.leased.parcel
        take(self, place, ready, decision, results, ended)
        begun = results[place]
        if isinstance(begun, Begun):
            remembered[parcel.delivery, parcel.attempt] = begun
        elif (parcel.delivery, parcel.attempt) in remembered and results[place] is None:
            old = remembered[parcel.delivery, parcel.attempt]
            results[place] = Begun(
                ready, replace_permit(old.permit, send_before_ms=2**52, ends_at_s=math.inf), old.headers
            )

    patch(Delivering, "_take", take_again)


def skip_attempts(patch: Callable[[type, str, Any], None]) -> None:
    """Nobody is asked: the dispatcher makes its permits itself."""

    def ask(self: Delivering, drafts: Sequence[AttemptDraft]) -> list[Decision]:
        return [_forge(self, draft.members) for draft in drafts]

    patch(Delivering, "_ask", ask)


def _forge(delivering: Delivering, members: Mapping[str, Any]) -> Permit:
    webhook = delivering._registry.load_webhook(members["endpoint"])
    assert webhook is not None
    return Permit(
        delivering._sequencer.size,
        bytes(32),
        members["delivery"],
        members["attempt"],
        members["endpoint"],
        webhook.url,
        delivering._clock.now_ms() + 1_000,
        members["account"],
        members["developer"],
        members["app"],
        "g-forged",
        math.inf,
    )


def sign_by_address(patch: Callable[[type, str, Any], None]) -> None:
    """The keys of whoever was at the address first sign for everybody there."""
    remembered: list[Sender] = []
    sender_of = Signing.sender_of

    def first_sender(self: Signing, webhook: str) -> Sender:
        remembered.append(sender_of(self, webhook))
        return replace(remembered[0], webhook=webhook)

    patch(Signing, "sender_of", first_sender)


def forget_settlements(patch: Callable[[type, str, Any], None]) -> None:
    """A settlement that cannot be appended is dropped, and so is the rescue of what was left open."""
    patch(Delivering, "_append", lambda self, settlements: None)
    patch(Delivering, "_find_out", lambda self, prepared, attempted: None)


def restrict_when_durable(patch: Callable[[type, str, Any], None]) -> None:
    """A restriction is heard of when it is durable, and not before."""
    patch(InFlight, "announce", lambda self, stated: None)


def share_instants(patch: Callable[[type, str, Any], None]) -> None:
    """While the clock stands still, everything is recorded at one instant."""
    patch(Instants, "of", lambda self, kind, members: self.now_ms)


def trust_the_clock(patch: Callable[[type, str, Any], None]) -> None:
    """Permits last until the host's clock says that they are over."""
    permit = Batch._permit

    def endless(self: Batch, uid: str, draft: AttemptDraft, backing: Any) -> Any:
        made = permit(self, uid, draft, backing)
        return replace_permit(made, ends_at_s=math.inf) if isinstance(made, Permit) else made

    patch(Batch, "_permit", endless)


def replace_permit(permit: Permit, **changed: Any) -> Permit:
    """``permit`` with other values, which nobody but a mutant makes."""
    values = {name: getattr(permit, name) for name in permit.__struct_fields__}
    return Permit(**(values | changed))
