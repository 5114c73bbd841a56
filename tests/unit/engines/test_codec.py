"""Encoding members that were checked before gives the bytes, and the refusals, of encoding them with a check."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.canonical import ENTRY_BYTES_MAX
from ledger.core.entries import encode_entry
from ledger.engines.codec import MsgspecCodec
from ledger.errors import FormatError
from tests.unit.engines.test_member_check import MEMBERS

FULL: dict[str, Any] = MEMBERS | {
    "subjects": ["a_" + "0" * 32, "a_" + "1" * 32],
    "observed": {"sni": "b.example", "host": "a.example", "port": 443, "path": "/"},
    "received_by": {"endpoint": "wh-a", "app": "app-a", "environment": "prod", "developer": "dev-a"},
    "status": 200,
    "worker": "w1",
}


@pytest.mark.parametrize("members", [MEMBERS, FULL, dict(reversed(FULL.items()))])
def test_checked_members_are_encoded_as_the_core_does_in_whatever_order_they_come(
    members: dict[str, Any],
) -> None:
    codec = MsgspecCodec()
    assert codec.check_stated(members)
    assert codec.encode_checked(members) == codec.encode(members) == encode_entry(members)


@pytest.mark.parametrize("missing", sorted(MEMBERS))
def test_checked_members_of_which_one_is_missing_are_refused_as_the_core_does(missing: str) -> None:
    members = {name: value for name, value in MEMBERS.items() if name != missing}
    with pytest.raises(FormatError) as expected:
        encode_entry(members)
    with pytest.raises(FormatError) as refused:
        MsgspecCodec().encode_checked(members)
    assert str(refused.value) == str(expected.value)


def test_a_member_that_the_kind_does_not_list_is_written_as_it_is() -> None:
    members = MEMBERS | {"colour": "red"}
    assert MsgspecCodec().encode_checked(members) == encode_entry(members)


def test_checked_members_that_make_too_long_an_entry_are_refused() -> None:
    members = MEMBERS | {"subjects": [f"a_{number:032x}" for number in range(ENTRY_BYTES_MAX // 30)]}
    with pytest.raises(FormatError, match="bytes"):
        MsgspecCodec().encode_checked(members)
