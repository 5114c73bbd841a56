"""Inclusion proofs that stand alone (C2SP tlog-proof; transparency formats, section 4.5), file extension
``.tlog-proof``.

::

    c2sp.org/tlog-proof@v1
    extra c29tZSBieXRlcw==
    index 1
    2zQm6HgGjSjSabbIcXIyLOU3K2V1bQeJAB00g19gHAM=

    <the checkpoint, verbatim>

The ``extra`` line is left out where there is nothing to say. Nobody signs it: it helps a reader to find the
entry and proves nothing. The hashes go from the leaf's sibling upwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.core.checkpoint import OpenedCheckpoint, open_checkpoint
from ledger.core.merkle import HASH_BYTES, check_inclusion
from ledger.core.note import Verifier
from ledger.core.strict import (
    decode_base64,
    decode_utf8,
    encode_base64,
    format_decimal,
    parse_decimal,
    parse_lines,
    shown,
)
from ledger.errors import FormatError

MAGIC = "c2sp.org/tlog-proof@v1"
HASHES_MAX = 63

_EXTRA = "extra "
_INDEX = "index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That a leaf stands at ``index`` of the tree of ``checkpoint`` (a note's bytes), by the path ``hashes``.

    ``extra`` is opaque and unsigned; None where there is none (no empty one exists).
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The bytes of a ``.tlog-proof`` file; FormatError when a part of ``proof`` cannot stand in one."""
    if len(proof.hashes) > HASHES_MAX or any(len(value) != HASH_BYTES for value in proof.hashes):
        raise FormatError(f"a proof has at most {HASHES_MAX} hashes of {HASH_BYTES} bytes")
    if proof.extra == b"":
        raise FormatError("an empty extra line is left out")
    lines = [MAGIC]
    if proof.extra is not None:
        lines.append(_EXTRA + encode_base64(proof.extra))
    lines.append(_INDEX + format_decimal(proof.index))
    lines.extend(encode_base64(value) for value in proof.hashes)
    return "".join(line + "\n" for line in lines).encode("ascii") + b"\n" + proof.checkpoint


def parse_tlog_proof(data: bytes) -> TlogProof:
    """The proof whose file is exactly ``data``; FormatError for any other bytes. The checkpoint is not looked into."""
    head, divider, checkpoint = data.partition(b"\n\n")
    if not divider:
        raise FormatError("the proof has no blank line")
    lines = iter(parse_lines(decode_utf8(head) + "\n"))
    if next(lines) != MAGIC:
        raise FormatError(f"the proof does not begin with {MAGIC}")
    line = next(lines, "")
    extra = None
    if line.startswith(_EXTRA):
        extra = decode_base64(line.removeprefix(_EXTRA))
        line = next(lines, "")
    if not line.startswith(_INDEX):
        raise FormatError(f"{shown(line)} is not an index line")
    index = parse_decimal(line.removeprefix(_INDEX))
    proof = TlogProof(index, tuple(decode_base64(line) for line in lines), checkpoint, extra)
    if format_tlog_proof(proof) != data:
        raise FormatError("the proof is not in canonical form")
    return proof


def check_tlog_proof(
    proof: TlogProof, leaf_hash: bytes, origin: str, verifiers: Iterable[Verifier]
) -> OpenedCheckpoint:
    """The opened checkpoint under which ``proof`` shows the 32-byte ``leaf_hash`` to be in the log ``origin``.

    Raises what :func:`ledger.core.checkpoint.open_checkpoint` raises, and ProofError when the path does not
    hold.
    """
    opened = open_checkpoint(proof.checkpoint, origin, verifiers)
    check_inclusion(proof.hashes, proof.index, opened.checkpoint.size, leaf_hash, opened.checkpoint.root)
    return opened
