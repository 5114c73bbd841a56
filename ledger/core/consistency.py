"""Consistency bundles: evidence that a log has only grown since an earlier state (transparency formats, section 4.1).

One JSON object::

    {"vkey": "...",                      the log's key as the server states it (never trusted by itself)
     "checkpoint": "...",                the signed note of the newer state
     "old": {"size": 5, "root": "<hex>"},
     "proof": ["<hex>", ...]}            RFC 6962, section 2.1.2

or, where the older state is one that the log signed, ``"old_checkpoint": "..."``, its signed note, in place of ``old``.
With ``old`` the file proves something to whoever knows that root from elsewhere; with ``old_checkpoint`` to everybody who
has the log's key. What two signed states that do *not* agree mean is that the log lied to somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.core.canonical import JsonValue
from ledger.core.checkpoint import OpenedCheckpoint, open_checkpoint
from ledger.core.merkle import check_consistency
from ledger.core.note import Verifier
from ledger.core.shapes import HASH, read_shape, refused_as
from ledger.core.strict import encode_utf8
from ledger.errors import FormatError

BUNDLE = {
    "checkpoint": str,
    "proof": [HASH],
    "old?": {"size": int, "root": HASH},
    "old_checkpoint?": str,
}
"""The members of a bundle that are read (:mod:`ledger.core.shapes`)."""


@dataclass(frozen=True, slots=True)
class OldState:
    """The state that the log had with ``size`` entries: its 32-byte ``root``."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class ConsistencyBundle:
    """A bundle of which nothing is known to be true; ``old`` is a state, or the bytes of its signed note."""

    checkpoint: bytes
    old: OldState | bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CheckedConsistency:
    """The tree of ``checkpoint`` begins with the tree of ``old``, which the log signed too if ``is_old_signed``."""

    checkpoint: OpenedCheckpoint
    old: OldState
    is_old_signed: bool


def check_consistency_bundle(
    bundle: ConsistencyBundle, origin: str, verifiers: Iterable[Verifier]
) -> CheckedConsistency:
    """Check ``bundle`` for the log ``origin`` and the known keys ``verifiers``.

    Raises as :func:`ledger.core.checkpoint.open_checkpoint`, and ProofError where the newer state does not continue the
    older one.
    """
    known = list(verifiers)
    opened = open_checkpoint(bundle.checkpoint, origin, known)
    old, new = bundle.old, opened.checkpoint
    if isinstance(old, bytes):
        earlier = open_checkpoint(old, origin, known).checkpoint
        old = OldState(earlier.size, earlier.root)
    with refused_as("CHECKPOINT_INCONSISTENT"):
        check_consistency(bundle.proof, old.size, new.size, old.root, new.root)
    return CheckedConsistency(opened, old, isinstance(bundle.old, bytes))


def parse_consistency(bundle: Mapping[str, object]) -> ConsistencyBundle:
    """``bundle``, as read from JSON, as a value; FormatError for any other shape."""
    own = {name: value for name, value in bundle.items() if name in BUNDLE or f"{name}?" in BUNDLE}
    read = read_shape(own, BUNDLE, "the bundle")
    if ("old" in own) == ("old_checkpoint" in own):
        raise FormatError("the bundle states its older state once, as old or as old_checkpoint")
    old = OldState(**read["old"]) if read["old"] else encode_utf8(read["old_checkpoint"])
    return ConsistencyBundle(encode_utf8(read["checkpoint"]), old, read["proof"])


def format_consistency(bundle: ConsistencyBundle, vkey: str) -> dict[str, JsonValue]:
    """The JSON object of ``bundle``, which states ``vkey`` as the log's key."""
    formatted: dict[str, JsonValue] = {
        "vkey": vkey,
        "checkpoint": bundle.checkpoint.decode(),
        "proof": [value.hex() for value in bundle.proof],
    }
    if isinstance(bundle.old, bytes):
        formatted["old_checkpoint"] = bundle.old.decode()
    else:
        formatted["old"] = {"size": bundle.old.size, "root": bundle.old.root.hex()}
    return formatted
