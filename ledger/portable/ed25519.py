"""Ed25519 signatures verified with the standard library alone (RFC 8032, section 5.1.7).

Only the portable checker uses this; everything else has a well-kept library for it. Nothing here is secret, so time may
depend on the values. Stricter than the RFC asks: points and scalars count in their one canonical form only, and the
equation is checked without the cofactor, as that library does.
"""

from __future__ import annotations

import hashlib
from typing import Optional, Tuple  # noqa: UP035 - the portable file runs on Python 3.8

Point = Tuple[int, int, int, int]  # noqa: UP006 - see above
"""X, Y, Z, T with x = X/Z, y = Y/Z and x*y = T/Z."""

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
NEUTRAL: Point = (0, 1, 1, 0)


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is that of ``public_key`` (32 bytes) for ``message``; some 5 ms."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    point = decode_point(public_key)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or decode_point(signature[:32]) is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    x, y, z, t = point
    # R = s*B - k*A, compared in its bytes.
    return encode_point(add_multiples(scalar, BASE, challenge, (P - x, y, z, P - t))) == signature[:32]


def decode_point(data: bytes) -> Optional[Point]:  # noqa: UP045 - the portable file runs on Python 3.8
    """The point that 32 bytes encode; None where they encode none, or are not its one encoding."""
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        return None
    # x^2 = u/v; the candidate is u*v^3 * (u*v^7)^((p-5)/8).
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def encode_point(point: Point) -> bytes:
    """The 32 bytes of ``point``."""
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def add_points(one: Point, other: Point) -> Point:
    """The sum of two points, equal ones included (RFC 8032, section 5.1.4)."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def add_multiples(one: int, point: Point, other: int, second: Point) -> Point:
    """``one * point + other * second``, both multiplied in one pass over the bits."""
    table = (NEUTRAL, point, second, add_points(point, second))
    total = NEUTRAL
    for place in range(max(one.bit_length(), other.bit_length()) - 1, -1, -1):
        total = add_points(total, total)
        total = add_points(total, table[(one >> place & 1) | (other >> place & 1) << 1])
    return total
