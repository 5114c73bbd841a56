"""docs/ingest-api.md against the service: every request on the page is made, in order, and taken."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path

import pytest

from ledger.gateway.asked import RejectedCode as NotDecidedCode
from ledger.gateway.reports import RejectedCode as NotTakenCode
from tests.api.platform_client import with_key
from tests.support.service_world import ServiceWorld

PAGE = (Path(__file__).parents[2] / "docs" / "ingest-api.md").read_text("utf-8")
REQUESTS = re.findall(r"<!-- request: POST (\S+) -->\n```json\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.fixture
def world(tmp_path: Path) -> typing.Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        made.serve()
        yield made


def test_every_request_of_the_page_is_taken(world: ServiceWorld) -> None:
    told = []
    ticket = ""
    with world.client() as client:
        platform = with_key(world, client, "platform")
        for path, body in REQUESTS:
            content = json.dumps(json.loads(body)).replace("TICKET", ticket).encode()
            response = platform.send(path, content, "application/json")
            assert response.status_code in (200, 202), response.text
            answer = response.json()
            ticket = answer.get("ticket", ticket)
            told.append([one["status"] for one in answer.get("results", [answer])])
    assert told == [["appended"] * 5, ["permitted"], ["appended"], ["accepted"]]


def test_the_report_with_the_ticket_settles_the_attempt_of_the_page() -> None:
    (asked,) = [json.loads(body) for path, body in REQUESTS if path == "/v1/authorizations"]
    reported = json.loads(REQUESTS[2][1])[0]
    for name in ("delivery", "attempt", "event", "event_type", "account", "subjects", "private", "endpoint"):
        assert asked[name] == reported[name]


@pytest.mark.parametrize("code", [*typing.get_args(NotTakenCode), *typing.get_args(NotDecidedCode)])
def test_every_code_of_a_rejection_is_explained(code: str) -> None:
    assert f"`{code}`" in PAGE
