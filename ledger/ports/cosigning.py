"""Cosignatures from witnesses, as the sealer needs them, and the way to a witness (transparency formats, section 4.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

ProveConsistency = Callable[[int], Sequence[bytes]]
"""The consistency proof from the tree of this size (above 0, and at most the checkpoint's) to the checkpoint's."""


class Cosigning(Protocol):
    """Gets cosignatures for checkpoints of one log. Used from one thread."""

    def cosign(self, note: bytes, prove: ProveConsistency) -> bytes:
        """``note``, which the log has signed, with the lines of witnesses that make up the policy's quorum.

        It may be asked again for the same checkpoint, and then answers as well as before. Raises QuorumError, which names
        who did not cosign and why, where too few did: then nothing is published, and the next seal asks again. Raises
        ForkError where a witness has seen another tree, or is ahead: then nothing may be signed any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What a witness's server answered: its status, its media type without parameters, and its body, bounded."""

    status: int
    media_type: str
    body: bytes


class WitnessCalls(Protocol):
    """The way to witnesses. Safe from any number of threads."""

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        """Send ``body`` to ``url`` once; raises StoreError where no whole answer came within its bounds of time and size."""
        ...
