"""An app has one bearer token, whoever asks for it and wherever (delivery protocol, section 3.1)."""

from __future__ import annotations

from tests.api.callers import Caller
from tests.support.service_world import ServiceWorld


def test_the_command_line_and_the_api_give_the_same_bearer_token(world: ServiceWorld) -> None:
    caller = Caller.new(world)
    by_command = caller._issuing.bearer_of(caller.app, caller.made.consumer_secret)
    assert caller.bearer.text == by_command


def test_what_the_api_invalidates_the_command_line_gives_no_more(world: ServiceWorld) -> None:
    caller = Caller.new(world)
    first = caller._issuing.bearer_of(caller.app, caller.made.consumer_secret)
    response = caller.client.post(
        "/oauth2/invalidate_token",
        data={"access_token": first},
        auth=(caller.app.consumer_key, caller.made.consumer_secret),
    )
    assert response.status_code == 200
    second = caller._issuing.bearer_of(caller.app, caller.made.consumer_secret)
    assert second != first
    assert caller.bearer.text == second
