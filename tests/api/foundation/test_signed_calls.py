"""Calls signed by a maintained OAuth 1.0a client, over HTTP: what is let in, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.gateway.tokens import hash_of, secret_context
from ledger.ports.credentials import Token
from tests.api.foundation.world import ALICE, PUBLIC, WebWorld

OWNER = "/1.1/probe/owner"
USER = "/1.1/probe/user"


def put_access(
    world: WebWorld, *, app: str = "app-a", account: str | None = ALICE, **changed: Any
) -> tuple[str, str]:
    """An access token and its secret, as the consent page would have led to."""
    text, secret = f"token-of-{app}-{account}", "token-secret"
    tag = None if account is None else world.account(account).tag
    stated: dict[str, Any] = {
        "token_hash": hash_of(text),
        "kind": "access",
        "app": app,
        "account": tag,
        "secret_sealed": world.service.sealing.seal_secret(secret_context(hash_of(text)), secret),
        "scopes": ("posts",),
        "created_at_ms": world.clock.now_ms(),
    }
    world.service.credentials.put_token(Token(**(stated | changed)))
    return text, secret


def test_a_call_that_the_owner_signed_is_the_apps(world: WebWorld) -> None:
    answer = world.signed("GET", OWNER, world.client())
    assert (answer.status_code, answer.json()["app"], answer.json()["by"]) == (200, "app-a", "owner")


def test_the_owners_own_access_token_is_the_owner(world: WebWorld) -> None:
    token = put_access(world, account=None)
    assert world.signed("GET", OWNER, world.client(None, *token)).json()["by"] == "owner"


def test_a_call_with_an_accounts_token_is_that_accounts_and_carries_what_was_signed(world: WebWorld) -> None:
    token = put_access(world)
    answer = world.signed("GET", USER, world.client(None, *token)).json()
    assert answer["account"] == world.account(ALICE).tag
    assert answer["signed"].startswith("GET&http%3A%2F%2F127.0.0.1")
    assert token[1] not in answer["signed"]


def test_an_accounts_token_is_not_the_owners(world: WebWorld) -> None:
    answer = world.signed("GET", OWNER, world.client(None, *put_access(world)))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, 200)


def test_the_owner_is_no_account(world: WebWorld) -> None:
    answer = world.signed("GET", USER, world.client())
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, 200)


def test_a_read_of_the_app_takes_any_signature_of_it(world: WebWorld) -> None:
    for client, by in ((world.client(), "owner"), (world.client(None, *put_access(world)), "user")):
        assert world.signed("GET", "/1.1/probe/any", client).json()["by"] == by


def test_a_call_without_any_authentication_is_told_so(world: WebWorld) -> None:
    for path in (OWNER, USER, "/1.1/probe/any", "/1.1/probe/app"):
        answer = world.http.get(path)
        assert (answer.status_code, answer.json()) == (
            401,
            {"errors": [{"code": 32, "message": "Could not authenticate you."}]},
        )
        assert answer.headers["www-authenticate"].startswith("OAuth")


def test_the_same_request_sent_twice_is_let_in_once(world: WebWorld) -> None:
    client = world.client()
    uri, headers, _ = client.sign(world.base_url + OWNER)
    assert [world.http.get(uri, headers=headers).status_code for _ in range(3)] == [200, 401, 401]


def test_a_wrong_signature_uses_no_nonce_up(world: WebWorld) -> None:
    client = world.client(nonce="a-nonce")
    wrong = world.client(nonce="a-nonce")
    wrong.client_secret = "wrong"
    assert world.signed("GET", OWNER, wrong).status_code == 401
    assert world.signed("GET", OWNER, client).status_code == 200


@pytest.mark.parametrize("seconds", [-301, 302])
def test_a_timestamp_more_than_five_minutes_off_is_refused(world: WebWorld, seconds: int) -> None:
    client = world.client()
    client.timestamp = str(int(client.timestamp) + seconds)
    answer = world.signed("GET", OWNER, client)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 32)


@pytest.mark.parametrize("seconds", [-295, 295])
def test_a_timestamp_within_five_minutes_is_fine(world: WebWorld, seconds: int) -> None:
    client = world.client()
    client.timestamp = str(int(client.timestamp) + seconds)
    assert world.signed("GET", OWNER, client).status_code == 200


def test_wrong_secrets_and_unknown_keys_are_answered_alike(world: WebWorld) -> None:
    wrong_secret, unknown_key = world.client(), world.client()
    wrong_secret.client_secret = "wrong"
    unknown_key.client_key = "unknown"
    answers = [world.signed("GET", OWNER, client) for client in (wrong_secret, unknown_key)]
    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].content == answers[1].content


def test_a_wrong_token_secret_is_a_wrong_signature(world: WebWorld) -> None:
    text, _ = put_access(world)
    answer = world.signed("GET", USER, world.client(None, text, "wrong"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 32)


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at_ms": 1},
        {"expires_at_ms": 1},
        {"kind": "request"},
        {"kind": "bearer"},
        {"kind": "session"},
    ],
)
def test_a_token_that_is_revoked_expired_or_of_another_kind_is_invalid(
    world: WebWorld, change: dict[str, Any]
) -> None:
    answer = world.signed("GET", USER, world.client(None, *put_access(world, **change)))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 89)


def test_another_apps_token_is_as_invalid_as_one_that_never_was(world: WebWorld) -> None:
    of_b = put_access(world, app="app-b")
    answers = [
        world.signed("GET", USER, world.client(world.app_a, *token))
        for token in (of_b, ("no-such-token", of_b[1]))
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["errors"][0]["code"] == 89


def test_a_token_of_an_erased_account_is_invalid(world: WebWorld) -> None:
    token = put_access(world)
    world.service.vault.erase([world.account(ALICE).tag])
    answer = world.signed("GET", USER, world.client(None, *token))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 89)


def test_a_call_signed_under_the_public_name_is_right_behind_a_proxy(world: WebWorld) -> None:
    assert world.signed("GET", OWNER, world.client(), as_if=PUBLIC).status_code == 200


def test_no_header_says_under_which_name_a_call_was_signed(world: WebWorld) -> None:
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example;proto=https",
    }
    evil = world.signed("GET", OWNER, world.client(), as_if="https://evil.example", headers=headers)
    assert evil.status_code == 401
    assert world.signed("GET", OWNER, world.client(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "url=https%3A%2F%2Fa.example%2Fhook%3Fx%3D1%26y%3D2",
        "a=b+c",
        "a=b%20c",
        "a=b%2Bc",
        "a=",
        "a",
        "a=%C3%A9%E2%82%AC%F0%9F%98%80",
        "%C3%A9=1",
        "a=2&a=2",
        "a=~-._*!'()",
        "a=%25%26%3D",
        "a=%7E",
        "b=1&a=2&a%5B%5D=3",
    ],
)
@pytest.mark.parametrize("place", ["query", "form"])
def test_parameters_are_signed_however_they_are_encoded_and_wherever_they_stand(
    world: WebWorld, query: str, place: str
) -> None:
    if place == "query":
        answer = world.signed("POST", f"{OWNER}?{query}", world.client())
    else:
        answer = world.signed("POST", OWNER, world.client(), form=query)
    assert answer.status_code == 200, answer.text


def test_a_changed_parameter_breaks_the_signature(world: WebWorld) -> None:
    for path, form in ((f"{OWNER}?url=a", None), (OWNER, "url=a")):
        client = world.client()
        stated = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        uri, headers, body = client.sign(world.base_url + path, "POST", form, stated)
        changed = body.replace("url=a", "url=b") if form else body
        answer = world.http.post(uri.replace("url=a", "url=b"), headers=headers, content=changed)
        assert answer.status_code == 401


def test_a_json_body_is_no_part_of_the_signature_and_its_members_are_parameters(world: WebWorld) -> None:
    uri, headers, _ = world.client().sign(world.base_url + OWNER, "POST")
    body = json.dumps({"url": "https://a.example/hook", "n": 5})
    answer = world.http.post(uri, headers={**headers, "Content-Type": "application/json"}, content=body)
    assert answer.json()["parameters"] == {"url": "https://a.example/hook", "n": "5"}


@pytest.mark.parametrize("kind", ["QUERY", "BODY"])
def test_protocol_parameters_may_stand_in_the_query_or_the_form(world: WebWorld, kind: str) -> None:
    client = world.client(signature_type=kind)
    form = "a=1" if kind == "BODY" else None
    assert world.signed("POST", OWNER, client, form=form).status_code == 200


def test_a_malformed_header_is_told_apart_from_a_wrong_one(world: WebWorld) -> None:
    answer = world.http.get(OWNER, headers={"Authorization": "OAuth oauth_token="})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 215)


def test_two_authorization_headers_are_refused(world: WebWorld) -> None:
    _, headers, _ = world.client().sign(world.base_url + OWNER)
    pairs = [("Authorization", headers["Authorization"]), ("Authorization", "Bearer AAAA")]
    answer = world.http.get(OWNER, headers=pairs)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 215)


def test_plaintext_is_no_signature(world: WebWorld) -> None:
    client = world.client(signature_method="PLAINTEXT")
    assert world.signed("GET", OWNER, client).status_code == 400


def test_verify_credentials_says_whose_token_it_is(world: WebWorld) -> None:
    answer = world.signed(
        "GET", "/1.1/account/verify_credentials.json", world.client(None, *put_access(world))
    )
    assert answer.json() == {"id": int(ALICE), "id_str": ALICE, "screen_name": ALICE, "name": ALICE}
