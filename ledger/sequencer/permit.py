"""The gate's two answers: a permit to send, or a refusal with its code (ledger format, section 1.5).

Only the sequencer makes these, and it makes a permit only for an entry that it has just created: a retried attempt
never re-uses an old one. The transport takes a permit and nothing else.
"""

from __future__ import annotations

import msgspec


class Permit(msgspec.Struct, frozen=True, gc=False):
    """Leave to send one attempt's body to ``url``, once, before ``send_before_ms`` (exclusive, ledger clock).

    ``seq`` and ``leaf_hash`` are those of the durable ``delivery.attempted``, which holds everything else.
    """

    seq: int
    leaf_hash: bytes
    delivery: str
    attempt: int
    endpoint: str
    url: str
    send_before_ms: int


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The attempt is not backed: ``code`` is the first failing test, ``seq`` the durable ``delivery.refused``.

    ``created`` is false when the same attempt had been refused before.
    """

    seq: int
    leaf_hash: bytes
    code: str
    created: bool
