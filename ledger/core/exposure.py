"""Possible exposure by circumstances: the upper bound where nobody observed where data went (verdict rules, 2.4).

A delivery is *possibly* exposed when, within a window before it, the same worker delivered for another developer to an
endpoint with the same resolved address, port and path. Each circumstance can be dropped, and the window changed; fewer
circumstances match more deliveries. The window is closed at both ends: ``0 <= t - t0 <= within_ms``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from ledger.errors import FormatError

WINDOW_MS = 360_000
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_match_within = re.compile(r"within=([0-9]{1,9})(ms|s|m|h)", re.ASCII).fullmatch
_NAMES = ("same-worker", "same-ip", "same-path")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Which circumstances must coincide; ``same_ip`` is about resolved address and port."""

    same_worker: bool = True
    same_ip: bool = True
    same_path: bool = True
    within_ms: int = WINDOW_MS

    def __str__(self) -> str:
        """As :func:`parse_circumstances` reads it."""
        flags = zip(_NAMES, (self.same_worker, self.same_ip, self.same_path), strict=True)
        window = f"{self.within_ms // 1000}s" if self.within_ms % 1000 == 0 else f"{self.within_ms}ms"
        return ",".join([name for name, wanted in flags if wanted] + [f"within={window}"])


def parse_circumstances(text: str) -> Circumstances:
    """The circumstances in ``same-worker,same-ip,same-path,within=360s``; those not named are dropped.

    Without ``within`` the window is 360 s. Raises FormatError for an unknown, repeated or ill-formed part.
    """
    named: set[str] = set()
    within_ms: int | None = None
    for part in text.split(","):
        window = _match_within(part)
        if window is not None and within_ms is None:
            within_ms = int(window[1]) * _UNITS[window[2]]
        elif part in _NAMES and part not in named:
            named.add(part)
        else:
            known = ", ".join((*_NAMES, "within=360s"))
            raise FormatError(f"{part!r} is no circumstance, or stands twice; there are: {known}")
    worker, address, path = (name in named for name in _NAMES)
    return Circumstances(worker, address, path, WINDOW_MS if within_ms is None else within_ms)


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery as its sender knew it; None for what nobody recorded, which matches nothing.

    ``developer`` is the intended one, ``address`` what the endpoint's name resolved to, ``path`` with its query.
    """

    seq: int
    started_at_ms: int
    developer: str
    worker: str | None
    address: str | None
    port: int | None
    path: str | None


def match_circumstances(sent: Iterable[Sent], circumstances: Circumstances) -> dict[int, frozenset[str]]:
    """Seq of each delivery that the circumstances match -> the other developers that it may have reached.

    Holds all of ``sent``; some 2 us each.
    """
    spots: dict[tuple[Any, ...], list[Sent]] = {}
    for delivery in sent:
        spot = _spot(delivery, circumstances)
        if None not in spot:
            spots.setdefault(spot, []).append(delivery)
    matched: dict[int, frozenset[str]] = {}
    for deliveries in spots.values():
        deliveries.sort(key=attrgetter("started_at_ms"))
        latest: dict[str, int] = {}
        for at_ms, together in groupby(deliveries, key=attrgetter("started_at_ms")):
            simultaneous = list(together)
            # Those of one instant are before each other: t - t0 = 0 lies in the window.
            latest.update((delivery.developer, at_ms) for delivery in simultaneous)
            for delivery in simultaneous:
                others = frozenset(
                    developer
                    for developer, last_ms in latest.items()
                    if developer != delivery.developer and at_ms - last_ms <= circumstances.within_ms
                )
                if others:
                    matched[delivery.seq] = others
    return matched


def _spot(delivery: Sent, circumstances: Circumstances) -> tuple[Any, ...]:
    return (
        *((delivery.worker,) if circumstances.same_worker else ()),
        *((delivery.address, delivery.port) if circumstances.same_ip else ()),
        *((delivery.path,) if circumstances.same_path else ()),
    )
