"""Errors: one table, each path's own dialect, and nothing in them that was not written for the caller."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import structlog

from api.auth import KEY_PREFIX
from api.problem_kinds import GATEWAY, KIND_OF_STATUS, KINDS
from ledger import __version__
from tests.api.foundation.probes import SECRET_TEXT
from tests.api.foundation.world import WebWorld

NO_ROUTE = {"/1.1": 34, "/oauth": 34, "/oauth2": 34}


def test_the_service_says_that_it_is_up_and_which_version_it_is(world: WebWorld) -> None:
    answer = world.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


@pytest.mark.parametrize("prefix", ["/1.1", "/oauth", "/oauth2"])
def test_no_such_route_is_code_34_under_the_paths_of_v1(world: WebWorld, prefix: str) -> None:
    answer = world.http.get(f"{prefix}/nothing/here.json")
    assert answer.status_code == 404
    assert answer.json() == {"errors": [{"code": 34, "message": "Sorry, that page does not exist."}]}


@pytest.mark.parametrize("path", ["/2/nothing", "/v1/nothing", "/nothing", "/healthz/"])
def test_no_such_route_is_a_problem_elsewhere(world: WebWorld, path: str) -> None:
    answer = world.http.get(path)
    body = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (body["type"], body["title"], body["status"]) == (
        "urn:grantledger:problem:not-found",
        "Not found",
        404,
    )
    assert ("errors" in body) == path.startswith("/2/")


@pytest.mark.parametrize("prefix", ["/1.1", "/2", "/v1"])
def test_a_wrong_method_says_which_are_right(world: WebWorld, prefix: str) -> None:
    answer = world.http.delete(f"{prefix}/probe/json")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "errors" in answer.json() or answer.json()["status"] == 405


@pytest.mark.parametrize(("prefix", "status"), [("/1.1", 400), ("/2", 400), ("/v1", 422)])
def test_a_parameter_of_the_wrong_type_is_named_and_not_repeated(
    world: WebWorld, prefix: str, status: int
) -> None:
    answer = world.http.get(f"{prefix}/probe/typed/783214x?limit=hunter2")
    assert answer.status_code == status
    assert "limit" in answer.text or "number" in answer.text
    assert "783214x" not in answer.text
    assert "hunter2" not in answer.text


def test_v2_names_the_reason_in_the_detail_and_in_errors(world: WebWorld) -> None:
    body = world.http.get("/2/probe/typed/x?limit=1").json()
    assert "QueryParamInvalid" in body["detail"]
    assert "QueryParamInvalid" in body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("fault", "v1", "v2", "own"),
    [
        ("webhook", (403, 214), (400, "CrcValidationFailed"), 400),
        ("duplicate", (409, 355), (400, "DuplicateSubscriptionFailed"), 400),
        ("rejected", (422, 44), (422, "Rejected"), 422),
        ("conflict", (409, 355), (409, "Conflict"), 409),
        ("usage", (400, 44), (400, "Malformed request"), 400),
        ("store", (503, 130), (503, "Temporarily unavailable"), 503),
        ("fork", (500, 131), (500, "Internal error"), 500),
        ("bug", (500, 131), (500, "Internal error"), 500),
    ],
)
def test_every_exception_is_told_in_each_dialect_and_v2_by_its_name_there(
    world: WebWorld, fault: str, v1: tuple[int, int], v2: tuple[int, str], own: int
) -> None:
    answers = {prefix: world.http.get(f"{prefix}/probe/fault/{fault}") for prefix in ("/1.1", "/2", "/v1")}
    assert (answers["/1.1"].status_code, answers["/1.1"].json()["errors"][0]["code"]) == v1
    assert (answers["/2"].status_code, answers["/2"].json()["errors"][0]["title"]) == v2
    assert (answers["/v1"].status_code, answers["/v1"].json()["status"]) == (own, own)


def test_what_went_wrong_inside_is_told_neither_to_callers_nor_to_the_log(world: WebWorld) -> None:
    with structlog.testing.capture_logs() as logs:
        answers = [world.http.get(f"/v1/probe/fault/{fault}") for fault in ("store", "fork", "bug")]
    for part in ("hunter2", "783214", "Traceback", "KeyError", "StoreError"):
        assert all(part not in answer.text for answer in answers)
    assert "hunter2" not in str(logs)
    assert SECRET_TEXT not in str(logs)
    (line,) = [entry for entry in logs if entry["event"] == "request failed"]
    assert line["error"] == "KeyError"
    assert "probes.py" in line["at"]


def test_the_request_id_is_in_the_problem_the_header_and_nowhere_twice(world: WebWorld) -> None:
    answers = [world.http.get("/v1/probe/fault/bug") for _ in range(3)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert {answer.json()["request_id"] for answer in answers} == ids


def test_a_caller_cannot_choose_the_request_id(world: WebWorld) -> None:
    assert world.http.get("/healthz", headers={"x-request-id": "mine"}).headers["x-request-id"] != "mine"


@pytest.mark.parametrize(
    "path", ["/healthz", "/1.1/nothing", "/v1/probe/fault/bug", "/account", "/openapi.json"]
)
def test_every_answer_is_safe_to_show_and_kept_by_nobody(world: WebWorld, path: str) -> None:
    headers = world.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_people_get_a_page_where_programs_get_a_problem(world: WebWorld) -> None:
    answer = world.http.post("/sign-out", data={"proof": "x"})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert answer.headers["x-request-id"] in answer.text


def test_parameters_may_stand_anywhere_but_not_twice_with_two_values(world: WebWorld) -> None:
    def send(query: str, content: bytes, kind: str) -> httpx.Response:
        client = world.client()
        stated = {"Content-Type": kind}
        form = content.decode() if kind.endswith("urlencoded") else None
        uri, headers, _ = client.sign(f"{world.base_url}/1.1/probe/owner?{query}", "POST", form, stated)
        return world.http.post(uri, headers={**headers, **stated}, content=content)

    form, js = "application/x-www-form-urlencoded", "application/json"
    assert send("a=1", b"b=2", form).json()["parameters"] == {"a": "1", "b": "2"}
    assert send("a=1", b"a=1", form).json()["parameters"] == {"a": "1"}
    assert send("a=1", b"a=2", form).status_code == 400
    assert send("a=1", b'{"a":"2"}', js).status_code == 400
    assert send("", b'{"a":["x"]}', js).status_code == 400
    assert send("", b'{"a":true}', js).status_code == 400
    assert send("", b"", js).json()["parameters"] == {}
    assert send("", b"x", "text/plain").status_code == 415


def schema_of(world: WebWorld) -> dict[str, Any]:
    return dict(json.loads(world.http.get("/openapi.json").text))


def test_the_openapi_text_names_how_to_authenticate(world: WebWorld) -> None:
    text = schema_of(world)
    schemes = text["components"]["securitySchemes"]
    assert {name: one["scheme"] for name, one in schemes.items()} == {
        "oauth1": "oauth",
        "bearer": "bearer",
        "api_key": "bearer",
        "basic": "basic",
    }
    assert KEY_PREFIX in schemes["api_key"]["description"]
    assert text["paths"]["/v1/sessions"]["post"]["security"] == [{"api_key": []}]
    assert text["paths"]["/oauth2/token"]["post"]["security"] == [{"basic": []}]


def test_the_openapi_text_documents_errors_as_they_are_sent(world: WebWorld) -> None:
    text = schema_of(world)
    assert "HTTPValidationError" not in json.dumps(text)
    for path, operations in text["paths"].items():
        for operation in operations.values():
            media = operation["responses"]["default"]["content"]
            is_v1 = path.startswith(("/1.1/", "/oauth"))
            assert list(media) == ["application/json" if is_v1 else "application/problem+json"], path


def test_pages_for_people_are_no_part_of_the_openapi_text(world: WebWorld) -> None:
    assert not [
        path for path in schema_of(world)["paths"] if path in ("/account", "/oauth/authorize", "/sign-in")
    ]


def test_there_is_no_documentation_page_that_loads_scripts_from_elsewhere(world: WebWorld) -> None:
    assert {world.http.get(path).status_code for path in ("/docs", "/redoc")} == {404}


def test_every_status_and_every_refusal_has_a_kind() -> None:
    kinds = {*KIND_OF_STATUS.values(), *(row.kind for row in GATEWAY.values())}
    kinds |= {row.kind_v2 for row in GATEWAY.values() if row.kind_v2 is not None}
    assert kinds <= set(KINDS)
    assert all(KINDS[kind].status == status for status, kind in KIND_OF_STATUS.items())
