"""Formats both ways, on inputs that nobody thought of."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.core.canonical import DEPTH_MAX, decode, encode
from ledger.core.note import open_note, sign_note
from ledger.core.strict import INTEGER_MAX, decode_base64, encode_base64, format_decimal, parse_decimal
from ledger.core.tiles import (
    bundles_added,
    decode_bundle,
    encode_bundle,
    format_path,
    parse_path,
    tiles_added,
)
from ledger.errors import FormatError, SignatureError
from ledger.vault.ed25519 import from_seed

ALLOWED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\')
texts = st.text(ALLOWED, max_size=20)
scalars = st.one_of(st.booleans(), st.integers(-INTEGER_MAX, INTEGER_MAX), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=DEPTH_MAX - 2,
)
objects = st.dictionaries(texts, values, max_size=6)

SIGNERS = [from_seed("ledger.example/log", bytes(32)), from_seed("witness.example/w1", bytes(range(32)))]
NOTE = sign_note("First.\n\nSecond: Grüße.\n", SIGNERS)


@given(objects)
def test_canonical_bytes_decode_to_the_object_that_encodes_to_them(value: dict[str, Any]) -> None:
    assert decode(encode(value)) == value


@given(st.one_of(st.binary(max_size=64), st.text(string.printable, max_size=64).map(str.encode)))
def test_bytes_are_refused_or_the_only_ones_of_their_object(data: bytes) -> None:
    try:
        value = decode(data)
    except FormatError:
        return
    assert encode(value) == data


@given(objects, st.data())
def test_mangled_bytes_of_an_object_are_refused_or_the_only_ones_of_another(
    value: dict[str, Any], data: st.DataObject
) -> None:
    original = encode(value)
    place = data.draw(st.integers(0, len(original) - 1))
    mangled = original[:place] + data.draw(st.binary(max_size=3)) + original[place + 1 :]
    try:
        found = decode(mangled)
    except FormatError:
        return
    assert encode(found) == mangled


@given(st.integers(0, len(NOTE)), st.integers(0, 4), st.binary(max_size=4))
@example(len(NOTE), 0, b"\n")
@example(0, 0, b"\n")
def test_a_mangled_note_is_refused_or_opens_to_the_same_text(place: int, cut: int, put: bytes) -> None:
    mangled = NOTE[:place] + put + NOTE[place + cut :]
    try:
        opened = open_note(mangled, [signer.verifier() for signer in SIGNERS])
    except (FormatError, SignatureError):
        return
    assert opened.text == "First.\n\nSecond: Grüße.\n"


@given(st.text(max_size=12))
def test_a_text_is_refused_or_the_only_decimal_of_its_number(text: str) -> None:
    try:
        number = parse_decimal(text)
    except FormatError:
        return
    assert format_decimal(number) == text


@given(st.text(string.ascii_letters + string.digits + "+/=-_\n", max_size=12))
def test_a_text_is_refused_or_the_only_base64_of_its_bytes(text: str) -> None:
    try:
        data = decode_base64(text)
    except FormatError:
        return
    assert encode_base64(data) == text


@given(st.integers(0, INTEGER_MAX - 600), st.integers(0, 600))
@example(INTEGER_MAX - 600, 600)
def test_the_paths_of_every_tile_parse_to_it(old_size: int, growth: int) -> None:
    for tile in [*tiles_added(old_size, old_size + growth), *bundles_added(old_size, old_size + growth)]:
        assert parse_path(format_path(tile)) == tile


@given(st.from_regex(r"tile/([0-9]|entries)/(x[0-9]{3}/){0,3}[0-9]{3}(\.p/[0-9]{1,3})?", fullmatch=True))
def test_a_path_is_refused_or_the_only_one_of_its_tile(path: str) -> None:
    try:
        tile = parse_path(path)
    except FormatError:
        return
    assert format_path(tile) == path


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_decodes_to_its_entries(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries
