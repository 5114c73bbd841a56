"""Hosts that lie on this machine, for trying things out (delivery protocol, section 3.5).

Webhook URLs are https, public and without a port, so none can be reached on a developer's own machine. The operator of a
*development* setup may name hosts that do, each with its loopback address and port:

    a.example=127.0.0.1:8443,b.example=127.0.0.1:8443        # or one a line, in a file

Only the named hosts are reached there, under their own names and certificates; every other one stays as strict as ever.
Nothing but loopback can be named, so the setting opens no way into a network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from ledger.core.addresses import parse_address
from ledger.core.destinations import HTTPS_PORT, normalise_host
from ledger.core.strict import shown
from ledger.errors import SettingsError

_PORT_MAX = 65_535

_match_override = re.compile(
    r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?)=(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?",
    re.ASCII,
).fullmatch


class Place(NamedTuple):
    """A loopback ``address`` and the ``port`` to connect to there."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class HostOverrides:
    """Host (lower case) -> where it lies on this machine."""

    places: Mapping[str, Place]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The overrides that ``text`` lists as ``host=address:port``, separated by commas or line ends.

        An IPv6 address stands in brackets; a port left out is 443; ``#`` begins a comment up to the line's end. Raises
        SettingsError for anything else, for an address that is not loopback, and for a host that is named twice.
        """
        places: dict[str, Place] = {}
        for line in text.splitlines():
            for item in line.partition("#")[0].split(","):
                if not item.strip():
                    continue
                host, place = _parse_one(item.strip())
                if host in places:
                    raise SettingsError(f"the override of host {shown(host)} stands there twice: leave one")
                places[host] = place
        return cls(places)

    @classmethod
    def load(cls, path: Path) -> Self:
        """:meth:`parse` of the file ``path``; SettingsError also where it cannot be read."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the host overrides {path} cannot be read: {error}") from error
        return cls.parse(text)

    def find(self, host: str) -> Place | None:
        """Where ``host`` (lower case, no final dot) lies on this machine, None where it is not named."""
        return self.places.get(host)


def _parse_one(item: str) -> tuple[str, Place]:
    match = _match_override(item)
    if match is None:
        raise SettingsError(f"the host override {shown(item)} is not host=address:port")
    host, v6, v4, port_digits = match.groups()
    address = parse_address(v6 or v4)
    if address is None:
        raise SettingsError(f"the host override {shown(item)} names no IP address")
    if not address.is_loopback:
        raise SettingsError(
            f"the host override {shown(item)} does not lead to loopback: name 127.0.0.1 or [::1]"
        )
    port = int(port_digits) if port_digits else HTTPS_PORT
    if not 1 <= port <= _PORT_MAX:
        raise SettingsError(f"the host override {shown(item)} has a port outside 1 to {_PORT_MAX}")
    return normalise_host(host), Place(str(address), port)
