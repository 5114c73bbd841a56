"""The server name in TLS hellos, real ones and those that lie."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.client_hello import HELLO_BYTES_MAX, HelloReader, read_server_name
from ledger.errors import FormatError


def hello(name: str | None) -> bytes:
    """What a real TLS client sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def forged(*extensions: tuple[int, bytes]) -> bytes:
    """A hello with some extensions, in one record."""
    listed = b"".join(kind.to_bytes(2) + len(data).to_bytes(2) + data for kind, data in extensions)
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + len(listed).to_bytes(2) + listed
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\3\1" + len(message).to_bytes(2) + message


def server_name(*names: str) -> tuple[int, bytes]:
    """The extension that names hosts."""
    listed = b"".join(b"\0" + len(name).to_bytes(2) + name.encode() for name in names)
    return 0, len(listed).to_bytes(2) + listed


def test_the_name_that_a_real_client_asks_for_is_read_in_lower_case() -> None:
    assert read_server_name(hello("A.Example")) == "a.example"


def test_any_beginning_of_a_hello_needs_more() -> None:
    whole = hello("a.example")
    assert [read_server_name(whole[:length]) for length in range(len(whole))] == [None] * len(whole)


def test_a_hello_that_is_cut_into_many_records_is_read() -> None:
    message = hello("a.example")[5:]
    cut = b"".join(b"\x16\3\1\0\1" + message[at : at + 1] for at in range(len(message)))
    assert read_server_name(cut) == "a.example"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x17\3\3\0\1\0",
        b"\x16\2\0\0\1\1",
        b"\x16\3\1\xff\xff\1",
        b"\x16\3\1\0\0",
        b"\x16\3\1\0\4\2\0\0\0",
        forged(),
        forged(server_name("a.example", "b.example")),
        forged(server_name("a.example"), server_name("b.example")),
        forged(server_name("")),
        forged(server_name("a..example")),
        forged(server_name("a.example\0.b.example")),
        forged(server_name("203.0.113.7 ")),
        forged((0, b"\0\5\1\0\2ab")),
        forged((0, b"\0\x09\0\0\2ab")),
        forged(server_name("a.example"), (0xFE0D, b"\0" * 8)),
        forged(server_name("a.example"), (0xFFCE, b"")),
    ],
)
def test_what_names_no_host_several_or_hides_it_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_server_name(data)


def test_a_client_without_a_name_is_refused() -> None:
    with pytest.raises(FormatError):
        read_server_name(hello(None))


def test_a_hello_without_end_is_not_waited_for() -> None:
    endless = b"\x16\3\1\0\4\1" + (HELLO_BYTES_MAX + 1).to_bytes(3)
    with pytest.raises(FormatError):
        read_server_name(endless)


@given(st.binary(max_size=80), st.integers(0, 400))
def test_no_bytes_make_it_fail_otherwise(noise: bytes, place: int) -> None:
    whole = forged(server_name("a.example"), (16, b"\0\3\2h2"))
    data = whole[:place] + noise + whole[place + len(noise) :]
    name: str | None = None
    with suppress(FormatError):
        name = read_server_name(data)
    assert name is None or name == name.lower()


def test_a_hello_in_the_smallest_pieces_costs_no_more_than_its_bytes() -> None:
    # Twenty thousand records of one byte, one byte at a time: looked at again and again they would take hours.
    message = b"\1\0\xff\xff" + bytes(21_000)
    endless = b"".join(b"\x16\3\1\0\1" + message[at : at + 1] for at in range(len(message)))
    reader = HelloReader()
    assert [reader.take(endless[at : at + 1]) for at in range(len(endless))] == [None] * len(endless)


def test_a_hello_that_comes_byte_by_byte_is_read() -> None:
    reader, whole = HelloReader(), hello("a.example")
    names = [reader.take(whole[at : at + 1]) for at in range(len(whole))]
    assert names == [None] * (len(whole) - 1) + ["a.example"]
