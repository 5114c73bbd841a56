"""What the quick check of members remembers never lets through what the core refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.core.entries import DeliverySettled, check_members
from ledger.engines.member_check import MemberCheck
from tests.support.builders import tag

MEMBERS: dict[str, Any] = {
    "v": 1,
    "seq": 5,
    "prev": "0" * 64,
    "uid": "delivery.settled/d-1/1/transport",
    "recorded_at": 7,
    "at": 6,
    "actor": "test:x",
    "via": "gate",
    "kind": "delivery.settled",
    "delivery": "d-1",
    "attempt": 1,
    "by": "transport",
    "account": tag("ann"),
    "subjects": [],
    "developer": "dev-a",
    "started_at": 6,
    "disclosure": "confirmed",
}


@pytest.mark.parametrize("observed", [{}, {"host": "a.example", "port": 443}])
def test_an_object_that_was_good_as_one_member_is_checked_again_as_another(observed: dict[str, Any]) -> None:
    check = MemberCheck(DeliverySettled)
    assert check(MEMBERS | {"observed": observed})
    forged = MEMBERS | {"received_by": observed}
    assert check_members(forged) is not None
    assert not check(forged)
    assert not check.stated(forged)


def test_a_truth_value_is_no_number_however_often_the_number_was_good() -> None:
    check = MemberCheck(DeliverySettled)
    assert check(MEMBERS | {"observed": {"port": 1}})
    assert not check(MEMBERS | {"observed": {"port": True}})
    assert not check(MEMBERS | {"attempt": True})
