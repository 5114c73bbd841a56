"""The shape that a JSON value has to have, and reading it strictly: what proofs and bundles are made of (section 1.4).

A shape is a type (``str``, ``bool``, ``int``: from 0 to 2^53 - 1), :data:`HASH` (32 bytes in lower-case hex, read as bytes),
:data:`ENTRY` (ASCII text, read as bytes), a list with the one shape of its items, or an object as a mapping from names to
shapes; a name that ends in ``?`` may be left out, and then is read as None. An object has no other members.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ledger.core.merkle import HASH_BYTES
from ledger.core.strict import INTEGER_MAX, parse_hex
from ledger.errors import FormatError, ProofError

HASH, ENTRY = "hash", "entry"


def read_shape(value: object, shape: object, what: str) -> Any:
    """``value``, as ``json`` made it, read as ``shape``; raises FormatError, naming it as ``what``, for another one."""
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise FormatError(f"{what} is not an object")
        if missing := {name for name in shape if not name.endswith("?")} - set(value):
            raise FormatError(f"{what} is without {', '.join(sorted(missing))}")
        shapes = {name.rstrip("?"): inner for name, inner in shape.items()}
        if set(value) - set(shapes):
            raise FormatError(f"{what} has members that it cannot have")
        return {
            name: read_shape(value[name], inner, name) if name in value else None
            for name, inner in shapes.items()
        }
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise FormatError(f"{what} is not a list")
        return tuple([read_shape(item, shape[0], what) for item in value])
    if shape is int and (type(value) is not int or not 0 <= value <= INTEGER_MAX):
        raise FormatError(f"{what} is not an integer from 0 to 2^53 - 1")
    if type(value) is not (str if shape in (HASH, ENTRY) else shape):
        raise FormatError(f"{what} is not what it has to be")
    if shape is HASH:
        return parse_hex(str(value), HASH_BYTES)
    if shape is ENTRY and not str(value).isascii():
        raise FormatError(f"{what} is not ASCII")
    return str(value).encode() if shape is ENTRY else value


@contextmanager
def refused_as(code: str) -> Iterator[None]:
    """Give each ProofError of the block this ``code``."""
    try:
        yield
    except ProofError as error:
        raise ProofError(str(error), code) from None
