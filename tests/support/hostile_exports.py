"""Sealed files from strangers: anybody can seal something for a recipient, under names of their choice."""

from __future__ import annotations

import hashlib

from ledger.core.canonical import JsonValue
from ledger.core.jcs import encode_file
from ledger.core.strict import encode_base64
from ledger.exports.sealed_file import MAGIC
from ledger.vault.recipients import NaclSealing, parse_recipient
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS


def seal_hostile(public_key: str, name: bytes, content: bytes = b"x", count: int = 1) -> bytes:
    """A sealed file for ``public_key`` with ``count`` files of this ``name``, whatever it is."""
    sealing, recipient = NaclSealing(SYSTEM_RANDOMNESS), parse_recipient(public_key)
    file = len(name).to_bytes(2, "big") + name + len(content).to_bytes(8, "big") + content
    key = sealing.new_key()
    box: dict[str, JsonValue] = {
        "key": hashlib.sha256(recipient).hexdigest(),
        "box": encode_base64(sealing.box(key, recipient)),
    }
    told: dict[str, JsonValue] = {"export": "x-1", "manifest": "0" * 64, "recipients": [box]}
    stream = sealing.start_sealing(key, hashlib.sha256(encode_file(told)).digest())
    head = encode_file({**told, "stream": encode_base64(stream.header)})
    return MAGIC + len(head).to_bytes(4, "big") + head + stream.push(file * count + b"\0\0", is_last=True)
