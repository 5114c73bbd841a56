"""Bearer tokens, API keys and the three-legged way, with a maintained OAuth client as the counterpart."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest

from api.oauth_server import REQUEST_TTL_MS
from ledger.gateway.parties import NewApp
from ledger.gateway.tokens import hash_of
from tests.api.foundation.browser import Browser
from tests.api.foundation.world import ALICE, CALLBACK, WebWorld

PROBE = "/1.1/probe/app"


def ask_bearer(world: WebWorld, app: NewApp, secret: str | None = None, **form: str) -> httpx.Response:
    pair = f"{quote(app.app.consumer_key, safe='')}:{quote(secret or app.consumer_secret, safe='')}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return world.http.post(
        "/oauth2/token", data=form or {"grant_type": "client_credentials"}, headers=headers
    )


def as_bearer(world: WebWorld, token: str, path: str = PROBE) -> httpx.Response:
    return world.http.get(path, headers={"Authorization": f"Bearer {token}"})


def codes(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def ask(world: WebWorld, callback: str | None = CALLBACK, app: NewApp | None = None) -> httpx.Response:
    return world.signed("POST", "/oauth/request_token", world.client(app, callback_uri=callback))


def asked(world: WebWorld, callback: str = CALLBACK) -> tuple[str, str]:
    """A request token and its secret."""
    answer = dict(pair.split("=") for pair in ask(world, callback).text.split("&"))
    return answer["oauth_token"], answer["oauth_token_secret"]


def exchange(
    world: WebWorld, token: tuple[str, str], verifier: str | None, app: NewApp | None = None
) -> httpx.Response:
    return world.signed("POST", "/oauth/access_token", world.client(app, *token, verifier=verifier))


def consented(world: WebWorld, token: str, *scopes: str, account: str = ALICE) -> str:
    """The verifier that consenting in a browser brings."""
    browser = Browser(world)
    browser.sign_in(account)
    answer = browser.answer_consent(token, scopes=scopes or ("posts",))
    return parse_qs(urlsplit(answer.headers["location"]).query)["oauth_verifier"][0]


def test_the_bearer_token_of_key_and_secret_is_the_apps(world: WebWorld) -> None:
    answer = ask_bearer(world, world.app_a)
    assert answer.json()["token_type"] == "bearer"
    assert as_bearer(world, answer.json()["access_token"]).json()["app"] == "app-a"


def test_the_bearer_token_is_the_same_until_it_is_invalidated(world: WebWorld) -> None:
    first, second = (ask_bearer(world, world.app_a).json()["access_token"] for _ in range(2))
    pair = f"{world.app_a.app.consumer_key}:{world.app_a.consumer_secret}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    gone = world.http.post("/oauth2/invalidate_token", data={"access_token": first}, headers=headers)
    third = ask_bearer(world, world.app_a).json()["access_token"]
    assert (first, gone.json()) == (second, {"access_token": first})
    assert codes(as_bearer(world, first)) == (401, 89)
    assert third != first
    assert as_bearer(world, third).status_code == 200


def test_an_invalidated_bearer_token_never_comes_back_not_even_once_its_row_is_swept(world: WebWorld) -> None:
    first = ask_bearer(world, world.app_a).json()["access_token"]
    world.service.credentials.take_token(hash_of(first), world.clock.now_ms())
    world.clock.move(400 * 86_400)
    world.service.credentials.expire(world.clock.now_ms(), 1_000)
    assert ask_bearer(world, world.app_a).json()["access_token"] != first
    assert codes(as_bearer(world, first)) == (401, 89)


def test_another_apps_bearer_token_cannot_be_invalidated(world: WebWorld) -> None:
    token = ask_bearer(world, world.app_b).json()["access_token"]
    pair = f"{world.app_a.app.consumer_key}:{world.app_a.consumer_secret}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    answer = world.http.post("/oauth2/invalidate_token", data={"access_token": token}, headers=headers)
    assert codes(answer) == (403, 99)
    assert as_bearer(world, token).status_code == 200


def test_a_wrong_secret_and_an_unknown_key_are_answered_alike(world: WebWorld) -> None:
    wrong = ask_bearer(world, world.app_a, "wrong")
    pair = base64.b64encode(b"unknown:secret").decode()
    unknown = world.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {pair}"},
    )
    assert codes(wrong) == codes(unknown) == (403, 99)
    assert wrong.content == unknown.content


@pytest.mark.parametrize("header", [None, "Basic", "Basic !!", "Basic YWJj", "Bearer AAAA"])
def test_unusable_basic_credentials_are_refused(world: WebWorld, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = world.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert codes(answer) == (403, 99)


def test_another_grant_type_is_refused(world: WebWorld) -> None:
    assert codes(ask_bearer(world, world.app_a, grant_type="password")) == (403, 170)


@pytest.mark.parametrize("token", ["AAAA", "-", "glk_a_b", "x" * 5_000])
def test_what_is_no_bearer_token_is_invalid(world: WebWorld, token: str) -> None:
    assert codes(as_bearer(world, token)) == (401, 89)


def test_an_access_token_is_no_bearer_token(world: WebWorld) -> None:
    token, _ = asked(world)
    assert codes(as_bearer(world, token)) == (401, 89)


def test_the_three_legged_way_ends_with_the_accounts_token(world: WebWorld) -> None:
    token = asked(world)
    answer = exchange(world, token, consented(world, token[0]))
    given = {name: values[0] for name, values in parse_qs(answer.text).items()}
    assert answer.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert (given["user_id"], given["screen_name"]) == (ALICE, ALICE)
    assert given["oauth_token"].startswith(f"{ALICE}-")
    client = world.client(None, given["oauth_token"], given["oauth_token_secret"])
    verified = world.signed("GET", "/1.1/account/verify_credentials.json", client)
    assert verified.json()["id_str"] == ALICE


def test_a_request_token_confirms_its_callback(world: WebWorld) -> None:
    assert parse_qs(ask(world).text)["oauth_callback_confirmed"] == ["true"]


@pytest.mark.parametrize(
    "callback",
    [
        "https://evil.example/callback",
        "https://a.example/callback",
        f"{CALLBACK}&x=1",
        f"{CALLBACK}#x",
        CALLBACK.replace("a.example", "a.example.evil.example"),
        CALLBACK.replace("https", "http"),
        CALLBACK.replace("%2F", "/"),
        CALLBACK.upper(),
        f" {CALLBACK}",
        "javascript:alert(1)",
        "OOB",
        "",
        None,
    ],
)
def test_a_callback_that_is_not_registered_letter_by_letter_is_refused(
    world: WebWorld, callback: str | None
) -> None:
    assert codes(ask(world, callback)) == (403, 415)


def test_an_access_token_is_no_way_to_ask_for_a_request_token(world: WebWorld) -> None:
    token = asked(world)
    given = parse_qs(exchange(world, token, consented(world, token[0])).text)
    client = world.client(
        None, given["oauth_token"][0], given["oauth_token_secret"][0], callback_uri=CALLBACK
    )
    answer = world.signed("POST", "/oauth/request_token", client)
    assert answer.status_code == 200
    assert parse_qs(answer.text)["oauth_token"] != given["oauth_token"]


def test_a_request_token_is_exchanged_once(world: WebWorld) -> None:
    token = asked(world)
    verifier = consented(world, token[0])
    assert exchange(world, token, verifier).status_code == 200
    assert codes(exchange(world, token, verifier)) == (401, 89)


def test_a_verifier_is_guessed_once_at_most(world: WebWorld) -> None:
    token = asked(world)
    verifier = consented(world, token[0])
    assert codes(exchange(world, token, "wrong")) == (401, 89)
    assert codes(exchange(world, token, verifier)) == (401, 89)


@pytest.mark.parametrize("verifier", [None, "", "x"])
def test_nothing_is_exchanged_before_the_account_consented(world: WebWorld, verifier: str | None) -> None:
    assert codes(exchange(world, asked(world), verifier)) == (401, 89)


def test_a_request_token_is_exchanged_by_its_own_app_only(world: WebWorld) -> None:
    token = asked(world)
    verifier = consented(world, token[0])
    assert codes(exchange(world, token, verifier, world.app_b)) == (401, 89)
    assert exchange(world, token, verifier).status_code == 200


def test_a_request_token_does_not_outlive_its_time(world: WebWorld) -> None:
    token = asked(world)
    verifier = consented(world, token[0])
    world.clock.move(REQUEST_TTL_MS / 1_000)
    assert codes(exchange(world, token, verifier)) == (401, 89)


def test_a_request_token_is_no_access_token(world: WebWorld) -> None:
    token = asked(world)
    consented(world, token[0])
    assert codes(world.signed("GET", "/1.1/probe/user", world.client(None, *token))) == (401, 89)


def test_the_verifier_may_stand_in_the_form_beside_the_header(world: WebWorld) -> None:
    token = asked(world)
    form = urlencode({"oauth_verifier": consented(world, token[0])})
    answer = world.signed("POST", "/oauth/access_token", world.client(None, *token), form=form)
    assert answer.status_code == 200


def test_the_chosen_scopes_and_the_consent_text_stand_in_the_access_token(world: WebWorld) -> None:
    token = asked(world)
    given = parse_qs(exchange(world, token, consented(world, token[0], "likes", "posts")).text)
    kept = world.service.credentials.load_token(hash_of(given["oauth_token"][0]))
    assert kept is not None
    assert kept.scopes == ("posts", "likes")
    assert kept.consent_text is not None
    assert len(kept.consent_text) == 32


def test_an_api_key_opens_what_its_role_may(world: WebWorld) -> None:
    answer = as_bearer(world, world.key("auditor", key="k1"), "/v1/probe/key")
    assert answer.json() == {"key": "k1"}


def test_a_key_of_another_role_is_told_which_roles_may(world: WebWorld) -> None:
    answer = as_bearer(world, world.key("person", world.account().tag), "/v1/probe/key")
    body = answer.json()
    assert (answer.status_code, body["roles"], body["role"]) == (403, ["auditor", "operator"], "person")
    assert "auditor or operator" in body["detail"]
    assert body["type"] == "urn:grantledger:problem:role-needed"


def test_wrong_revoked_and_unknown_keys_are_answered_alike(world: WebWorld) -> None:
    right = world.key("auditor", key="k1")
    revoked = world.key("auditor", key="k2")
    world.service.credentials.revoke_key("k2", world.clock.now_ms())
    texts = [right[:-1] + ("0" if right[-1] != "0" else "1"), revoked, "glk_none_x", "glk_", "glk", "AAAA"]
    answers = [as_bearer(world, text, "/v1/probe/key") for text in texts]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1
