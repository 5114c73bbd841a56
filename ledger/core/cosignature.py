"""Cosignatures: a witness's signature on somebody's checkpoint, with the time (C2SP tlog-cosignature, version 1;
transparency formats, section 4.6).

What is signed, for a checkpoint of five entries::

    cosignature/v1
    time 1679315147
    ledger.example/acme
    5
    h9UMXqS06cZqY1DcnPgMhWQabcLU6G++7tynUvpM20w=

In the note it is a line like any other, of signature type 0x04: behind the key id stand the time, 8 bytes big-endian, and
the 64 bytes of the Ed25519 signature. It says: as of that time, this is the largest tree of that log that the witness has
seen, and it continues every one that it saw before. Keys and curves are the vault's business.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.errors import FormatError

TIME_BYTES = 8
ED25519_BYTES = 64
COSIGNATURE_BYTES = TIME_BYTES + ED25519_BYTES
TIME_S_MAX = 2**63 - 1

_HEADER = b"cosignature/v1\n"


class Cosignature(NamedTuple):
    """The two parts behind the key id: seconds since 1970 and the 64 bytes of the signature."""

    time_s: int
    signature: bytes


def format_cosigned(time_s: int, body: bytes) -> bytes:
    """What a witness signs at ``time_s`` for the checkpoint whose note text is ``body``, final newline included."""
    _check_time(time_s)
    return b"%stime %d\n%s" % (_HEADER, time_s, body)


def encode_cosignature(cosignature: Cosignature) -> bytes:
    """The bytes behind the key id; FormatError for another length of signature or an impossible time."""
    _check_time(cosignature.time_s)
    if len(cosignature.signature) != ED25519_BYTES:
        raise FormatError(f"an Ed25519 signature has {ED25519_BYTES} bytes, not {len(cosignature.signature)}")
    return cosignature.time_s.to_bytes(TIME_BYTES, "big") + cosignature.signature


def decode_cosignature(blob: bytes) -> Cosignature:
    """The parts of what stands behind the key id; FormatError when it is no cosignature of type 0x04."""
    if len(blob) != COSIGNATURE_BYTES:
        raise FormatError(f"a cosignature has {COSIGNATURE_BYTES} bytes, not {len(blob)}")
    time_s = int.from_bytes(blob[:TIME_BYTES], "big")
    _check_time(time_s)
    return Cosignature(time_s, blob[TIME_BYTES:])


def _check_time(time_s: int) -> None:
    if not 0 <= time_s <= TIME_S_MAX:
        raise FormatError("the time of a cosignature is not between 0 and 2^63 - 1 seconds")
