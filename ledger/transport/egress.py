"""Where a host may be connected to right now (delivery protocol, section 3.5).

Every attempt resolves the host anew and vets every address of the answer. One that is not public refuses the whole name:
mixed answers are how a name is made to point into the operator's network between a check and a connect. The connection
then goes to a vetted address and to no name, so nothing is resolved a second time.

Rules kept here: nothing is remembered; a refusal does not tell the addresses, which may be known to the operator's own
resolver only. Hosts that the operator put on loopback for development are the one exception (:mod:`.overrides`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.core.addresses import check_public, parse_address
from ledger.core.destinations import HTTPS_PORT
from ledger.transport.lookup import LookupLateError, TimedLookup
from ledger.transport.overrides import HostOverrides

ADDRESSES_MAX = 64
"""Most addresses that a host may have; all of them are vetted, and listed in the ledger."""


@dataclass(frozen=True, slots=True)
class Vetted:
    """The addresses that the host has now, all of them allowed, in the order to try them, and the port to connect to."""

    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class NotVetted:
    """No connection: ``is_refused`` where the destination is not allowed, else its name could not be resolved."""

    reason: str
    is_refused: bool
    is_timeout: bool = False


class Egress:
    """Resolves and vets; safe to call from several threads."""

    def __init__(self, lookup: TimedLookup | None = None, overrides: HostOverrides | None = None) -> None:
        """Ask ``lookup`` (the system's resolver when left out); ``overrides`` only where the operator set them."""
        self._lookup = lookup or TimedLookup()
        self._overrides = overrides or HostOverrides({})

    def vet(self, host: str, timeout_s: float) -> Vetted | NotVetted:
        """The addresses for one attempt at ``host`` (lower case, an IP address without brackets), asked for now."""
        place = self._overrides.find(host)
        if place is not None:
            return Vetted((place.address,), place.port)
        address = parse_address(host)
        if address is not None:
            return _vet((str(address),))
        try:
            return _vet(self._lookup(host, timeout_s))
        except LookupLateError as late:
            return NotVetted(str(late), is_refused=False, is_timeout=True)
        except (OSError, UnicodeError) as error:
            return NotVetted(f"the name was not resolved: {error}", is_refused=False)


def _vet(addresses: tuple[str, ...]) -> Vetted | NotVetted:
    if not addresses:
        return NotVetted("the name has no address", is_refused=False)
    if len(addresses) > ADDRESSES_MAX:
        return NotVetted(f"the host has more than {ADDRESSES_MAX} addresses", is_refused=True)
    for address in addresses:
        refusal = check_public(address)
        if refusal is not None:
            return NotVetted(f"the host has an address that is not public: {refusal.reason}", is_refused=True)
    return Vetted(addresses, HTTPS_PORT)
