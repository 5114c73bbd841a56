"""The gate's two answers: a permit to send, or a refusal with its code (ledger format, section 1.5).

Only the sequencer makes these, and it makes a permit only for an entry that it has just created: a retried attempt
never re-uses an old one. The transport takes a permit and nothing else.

Whoever keeps the permits in flight is told of a restriction before it is recorded (:class:`Announce`), so that nothing that
it takes away starts while it is on its way to the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from ledger.core.canonical import JsonValue
from ledger.core.grants import Miss


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one attempt's body to ``url``, once, before ``send_before_ms`` (exclusive, ledger clock).

    It ends at ``ends_at_s`` too (exclusive, seconds of the deciding process's stopwatch), which is the same instant as long
    as nobody sets the host's clock: one that went back must not make a permit last. ``seq`` and ``leaf_hash`` are those of
    the durable ``delivery.attempted``, which holds everything else. ``account`` (a tag), ``developer``, ``app`` and ``grant``
    say whose restriction calls it off.
    """

    seq: int
    leaf_hash: bytes
    delivery: str
    attempt: int
    endpoint: str
    url: str
    send_before_ms: int
    account: str
    developer: str
    app: str
    grant: str
    ends_at_s: float


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The attempt is not backed: ``code`` is the first failing test, ``seq`` the durable ``delivery.refused``.

    ``created`` is false when the same attempt had been refused before. ``nearest`` are the account's grants that came
    nearest and the test that each failed, the nearest first; none where it was refused before.
    """

    seq: int
    leaf_hash: bytes
    code: str
    created: bool
    nearest: tuple[Miss, ...] = ()


class Announced(Protocol):
    """Restrictions that are about to be recorded; until :meth:`close` no permit that they touch starts."""

    @property
    def latest_start_ms(self) -> int:
        """When the last flight of this process started, whosever it was: the restrictions have to take effect after it."""
        ...

    def close(self) -> None:
        """It is known, and told, what has become durable of them."""
        ...


class Announce(Protocol):
    """Calls off what is about to be restricted, before it is known whether the restriction will be recorded."""

    def __call__(self, stated: Iterable[Mapping[str, JsonValue]]) -> Announced | None:
        """Call off the permits that entries with the members ``stated`` would touch; None where they touch none.

        Neither waits nor raises, whatever the members are. A permit that is called off for nothing is asked for again.
        """
        ...
