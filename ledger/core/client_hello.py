"""The server name in the first message of a TLS connection (RFC 8446, section 4.1.2; RFC 6066, section 3).

Read off the bytes that a client sends first, without decrypting anything: what is counted is what was really asked for, and
not what somebody says about it. A hello that hides its real name (Encrypted Client Hello) is refused: the name in clear
would then be another one's.
"""

from __future__ import annotations

import re

from ledger.errors import FormatError

HELLO_BYTES_MAX = 65_536
"""The longest hello that is read; real ones have some hundred bytes, a few thousand with post-quantum keys."""

_RECORD_HEADER = 5
_RECORD_BYTES_MAX = 16_384
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _HOST_NAME = 0, 0
_HIDING = frozenset({0xFE0D, 0xFFCE})
"""The extensions that carry another, encrypted name: encrypted_client_hello, and its draft's encrypted_server_name."""

_match_name = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?",
    re.ASCII,
).fullmatch


class _Reader:
    """Takes bytes from the front; FormatError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise FormatError("the hello ends too early")
        self._place += count
        return self._data[self._place - count : self._place]

    def number(self, size_bytes: int) -> int:
        return int.from_bytes(self.take(size_bytes))

    def take_all(self) -> bytes:
        return self.take(self.left)

    def vector(self, size_bytes: int) -> _Reader:
        return _Reader(self.take(self.number(size_bytes)))


class HelloReader:
    """Reads a hello as it comes in; each byte is looked at once, however small the pieces and the records are."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self._data = bytearray()
        self._place = 0
        self._message = bytearray()

    def take(self, data: bytes) -> str | None:
        """The server name (lower case) that the TLS client asks for that has sent ``data`` next; None while more is needed.

        Raises FormatError where this is no TLS, the hello names no host, several, or hides it, or is too long.
        """
        self._data += data
        while self._has_record():
            start = self._place + _RECORD_HEADER
            self._place = start + int.from_bytes(self._data[start - 2 : start])
            self._message += self._data[start : self._place]
            if self._message[0] != _CLIENT_HELLO:
                raise FormatError("the first message is no hello of a client")
            wanted = int.from_bytes(self._message[1:4]) if len(self._message) >= 4 else HELLO_BYTES_MAX
            if wanted > HELLO_BYTES_MAX:
                raise FormatError("the hello is too long")
            if len(self._message) >= 4 + wanted:
                return _name_in(bytes(self._message[4 : 4 + wanted]))
        if len(self._data) > 2 * HELLO_BYTES_MAX:
            raise FormatError("the hello is too long")
        return None

    def _has_record(self) -> bool:
        """Whether the next record is there, whole; FormatError where it is none of a handshake."""
        head = self._data[self._place : self._place + _RECORD_HEADER]
        if head and head[0] != _HANDSHAKE:
            raise FormatError("this does not begin like TLS")
        if len(head) < _RECORD_HEADER:
            return False
        length = int.from_bytes(head[3:])
        if head[1] != 3 or not 0 < length <= _RECORD_BYTES_MAX:
            raise FormatError("this does not begin like TLS")
        return len(self._data) >= self._place + _RECORD_HEADER + length


def read_server_name(data: bytes) -> str | None:
    """What :meth:`HelloReader.take` says of all that a client has sent so far."""
    return HelloReader().take(data)


def _name_in(hello: bytes) -> str:
    body = _Reader(hello)
    body.take(2 + 32)
    for size_bytes in (1, 2, 1):
        body.vector(size_bytes)
    names: list[bytes] = []
    extensions = body.vector(2) if body.left else _Reader(b"")
    while extensions.left:
        kind = extensions.number(2)
        extension = extensions.vector(2)
        if kind in _HIDING:
            raise FormatError("the hello hides the name that it asks for")
        if kind == _SERVER_NAME:
            listed = extension.vector(2)
            while listed.left:
                if listed.number(1) != _HOST_NAME:
                    raise FormatError("the hello names something else than a host")
                names.append(listed.vector(2).take_all())
    if len(names) != 1:
        raise FormatError("the hello names no host" if not names else "the hello names several hosts")
    name = names[0].decode("ascii", "replace").lower()
    if not _match_name(name):
        raise FormatError("the hello names what is no host")
    return name
