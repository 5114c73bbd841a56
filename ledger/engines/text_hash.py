"""Secret 64-bit hashes of texts, over columns of bytes and one at a time.

Equal texts have equal hashes in every process that was given the same ``secret``; unequal ones differ but for chance. The
secret is drawn for each verification, so that whoever writes a log cannot look for collisions. Where a hash decides
anything, what it stands for is compared as well, or a collision could only raise a false alarm.

A secret alone does not make a hash safe: where a difference in the text leads to a known difference of the hash, texts that
collide under *every* secret can be written down. These are two sums of the text's characters of 32 bits, each times a
secret number of 64 bits, of which the upper halves are kept (multilinear hashing: Lemire and Kaser, "Strongly universal
string hashing is fast", 2014). For any two texts the hashes are independent, so that one in 2**64 secrets makes them equal.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256, shake_256
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

TEXT_BYTES_MAX = 320
"""The longest text that is hashed: a uid (ledger format, section 1.1)."""

WORD_BYTES = 8
_CHARACTER_BYTES = 4
_CHARACTER = np.dtype("<u4")
_CHARACTERS_MAX = TEXT_BYTES_MAX // _CHARACTER_BYTES
_MASK = (1 << 64) - 1
_HALF = np.uint64(32)


class TextHash:
    """Hashes of ASCII texts of up to :data:`TEXT_BYTES_MAX` bytes under one secret and for one ``purpose``."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        drawn = drawn_words(secret + purpose.encode(), 2 * (_CHARACTERS_MAX + 2))
        first, second = drawn.reshape(2, -1)
        self._factors = (first[2:], second[2:])
        self._numbers: tuple[list[int], list[int]] = (first.tolist(), second.tolist())

    def of_columns(self, texts: Bytes) -> Words:
        """The hash of each row of ``texts``, a matrix of bytes."""
        count, length = texts.shape
        padded = np.zeros((count, -(-length // _CHARACTER_BYTES) * _CHARACTER_BYTES), np.uint8)
        padded[:, :length] = texts
        return self._of_rows(padded.view(_CHARACTER), length)

    def of_words(self, words: Sequence[Words]) -> Words:
        """The hash of each row of some columns of numbers."""
        return self._of_rows(np.stack(words, axis=1).view(_CHARACTER), len(words) * WORD_BYTES)

    def _of_rows(self, rows: Any, length: int) -> Words:
        characters = rows.astype(np.uint64)
        low, high = (
            characters @ factors[: characters.shape[1]] + np.uint64(self._begin(half, length))
            for half, factors in enumerate(self._factors)
        )
        hashes: Words = (low >> _HALF) | (high >> _HALF << _HALF)
        return hashes

    def of_text(self, text: str) -> int:
        """The hash of one text, the same as in a column; a longer one than columns have is hashed by its digest."""
        data = text.encode()
        length = len(data)
        if length > TEXT_BYTES_MAX:
            data = sha256(data).digest()
        padded = data + bytes(-len(data) % _CHARACTER_BYTES)
        return self._of_characters([each for (each,) in struct.iter_unpack("<I", padded)], length)

    def of_numbers(self, *numbers: int) -> int:
        """The hash of some numbers, the same as in columns."""
        characters = [half for number in numbers for half in (number & 0xFFFF_FFFF, number >> 32)]
        return self._of_characters(characters, len(numbers) * WORD_BYTES)

    def _of_characters(self, characters: Sequence[int], length: int) -> int:
        sums: list[int] = [
            sum(map(mul, characters, numbers[2:]), self._begin(half, length)) & _MASK
            for half, numbers in enumerate(self._numbers)
        ]
        return sums[0] >> 32 | sums[1] >> 32 << 32

    def _begin(self, half: int, length: int) -> int:
        """What a sum begins with; the length stands for a character, since texts are filled up with zeros."""
        start, by_length, *_ = self._numbers[half]
        return start + length * by_length & _MASK

    @staticmethod
    def with_number(hashes: Words, numbers: Words) -> Words:
        """The hashes of pairs of a hashed text and a number."""
        return hashes ^ numbers

    @staticmethod
    def with_one_number(hashed: int, number: int) -> int:
        """:meth:`with_number` of one pair."""
        return hashed ^ number


def drawn_words(secret: bytes, count: int) -> Words:
    """``count`` numbers drawn from ``secret``."""
    return np.frombuffer(shake_256(secret).digest(count * WORD_BYTES), "<u8")


def odd_words(secret: bytes, count: int) -> Words:
    """``count`` odd numbers drawn from ``secret``."""
    return drawn_words(secret, count) | np.uint64(1)


def as_words(rows: Bytes) -> Words:
    """The rows of a matrix of bytes as little-endian words, filled up with zeros."""
    count, length = rows.shape
    padded = np.zeros((count, -(-length // WORD_BYTES) * WORD_BYTES), np.uint8)
    padded[:, :length] = rows
    return padded.view("<u8")


def signed(hashes: Words) -> NDArray[np.int64]:
    """Hashes as the signed integers that Arrow files hold."""
    return hashes.view(np.int64)


def signed_one(hashed: int) -> int:
    """One hash as a signed integer."""
    return hashed - (1 << 64) if hashed >> 63 else hashed


def hex_words(digits: Bytes) -> Words:
    """Rows of lower-case hex digits (a multiple of 16) as big-endian words: exact, so that equal means equal."""
    nibbles = (digits & np.uint8(15)) + np.uint8(9) * (digits >> np.uint8(6))
    joined = (nibbles[:, 0::2] << np.uint8(4)) | nibbles[:, 1::2]
    return np.ascontiguousarray(joined).view(">u8").astype(np.uint64)


def tag_words(tag: str) -> tuple[int, int]:
    """The 128 bits of a tag (``a_`` or ``e_`` and 32 hex digits) as two words."""
    return int(tag[2:18], 16), int(tag[18:34], 16)


def tag_columns(tags: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """:func:`tag_words` of many tags, as the signed integers that Arrow files hold."""
    characters = np.frombuffer("".join(tags).encode(), np.uint8).reshape(len(tags), -1 if tags else 34)
    words = hex_words(characters[:, 2:])
    return signed(np.ascontiguousarray(words[:, 0])), signed(np.ascontiguousarray(words[:, 1]))
