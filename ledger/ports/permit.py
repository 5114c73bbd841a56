"""The gate's two answers: a permit to send, or a refusal with its code (ledger format, section 1.5).

Only the sequencer makes these, and it makes a permit only for an entry that it has just created: a retried attempt
never re-uses an old one. The transport takes a permit and nothing else.
"""

from __future__ import annotations

import msgspec

from ledger.core.grants import Miss


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one attempt's body to ``url``, once, before ``send_before_ms`` (exclusive, ledger clock).

    ``seq`` and ``leaf_hash`` are those of the durable ``delivery.attempted``, which holds everything else. ``account``
    (a tag), ``developer``, ``app`` and ``grant`` say whose restriction calls it off.
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
