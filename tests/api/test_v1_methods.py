"""Wrong methods: what a path has is told, and words are not taken for ids."""

from __future__ import annotations

import pytest

from tests.api.callers import Caller
from tests.support.service_world import ServiceWorld


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/1.1/account_activity/all/prod/webhooks.json", "GET, POST"),
        ("/1.1/account_activity/all/prod/subscriptions/list.json", "GET"),
        ("/1.1/account_activity/all/prod/subscriptions/783214.json", "DELETE"),
        ("/1.1/account_activity/webhooks/1/subscriptions/all.json", "GET, POST, DELETE"),
        ("/2/webhooks", "GET, POST"),
        ("/2/webhooks/replay", "POST"),
        ("/2/webhooks/1", "PUT, DELETE"),
        ("/v1/developer/webhooks", "GET, POST, DELETE"),
    ],
)
def test_a_wrong_method_is_told_every_right_one(caller: Caller, path: str, allowed: str) -> None:
    response = caller.bearer("PATCH", path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
