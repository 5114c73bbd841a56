"""``DELETE /v1/grants/{grant}``: one grant is revoked, and grants without a subscription are seen and ended (3.1)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.account_access import allow_less
from api.auth import Authenticator, SignedBy
from api.oauth_server import Asked, OAuthServer
from api.problems import ProblemError
from ledger.gateway.drafts import append_whole, live_draft
from ledger.gateway.subscriptions import ScopesRefused
from ledger.gateway.tokens import NewToken, hash_of
from ledger.ports.registry import Subscription
from tests.api.foundation.browser import Browser, forms_of, text_of
from tests.api.foundation.test_account import give_token, subscribe, with_key
from tests.api.foundation.world import ALICE, BOB, WebWorld


def record(world: WebWorld, grant: str = "g-recorded", account: str = ALICE, **members: Any) -> str:
    """A grant to app A that the platform has recorded."""
    stated: dict[str, Any] = {
        "grant": grant,
        "account": world.account(account).tag,
        "developer": "dev-a",
        "app": "app-a",
        "environment": "prod",
        "scopes": ["likes", "posts"],
    }
    append_whole(
        world.service.ledger.sequencer, [live_draft("grant.issued", "platform:k1", stated | members)]
    )
    return grant


def subscribed(world: WebWorld, account: str = ALICE) -> Subscription:
    subscribe(world, account)
    (made,) = world.service.registry.load_subscriptions_of(world.account(account).tag)
    return made


def delete(world: WebWorld, key: str, grant: str) -> httpx.Response:
    return with_key(world, "DELETE", f"/v1/grants/{grant}", key)


def revocations(world: WebWorld) -> list[bytes]:
    rows = world.service.ledger.store.fetch_state()
    return [row.data for row in rows if b'"kind":"grant.revoked"' in row.data]


@pytest.mark.parametrize("role", ["person", "business"])
def test_an_account_revokes_a_grant_of_its_own(world: WebWorld, role: Any) -> None:
    made = subscribed(world)
    key = world.key(role, world.account().tag)
    answer = delete(world, key, made.grant)
    told = answer.json()
    assert answer.status_code == 200
    assert (told["grant"], told["app"], told["developer"], told["environment"]) == (
        made.grant,
        "app-a",
        "dev-a",
        "prod",
    )
    assert told["ended_at"].endswith("Z")
    assert world.service.registry.load_subscriptions_of(made.account) == []
    (revoked,) = revocations(world)
    assert b'"channel":"account_api"' in revoked
    assert f'"actor":"account:{made.account}"'.encode() in revoked


def test_revoking_again_says_the_same_and_records_nothing(world: WebWorld) -> None:
    made = subscribed(world)
    key = world.key("person", made.account)
    first = delete(world, key, made.grant)
    world.clock.move(60)
    assert delete(world, key, made.grant).json() == first.json()
    assert len(revocations(world)) == 1


def test_the_platform_revokes_any_grant(world: WebWorld) -> None:
    record(world)
    answer = delete(world, world.key("platform", key="kplatform"), "g-recorded")
    assert answer.status_code == 200
    (revoked,) = revocations(world)
    assert b'"channel":"platform_api"' in revoked
    (notice,) = world.service.registry.load_notices(world.account().tag)
    assert "The platform ended this." in notice.text
    assert b'"actor":"platform:kplatform"' in revoked


def test_anothers_grant_and_none_are_not_told_apart(world: WebWorld) -> None:
    record(world)
    key = world.key("person", world.account(BOB).tag)
    answers = [delete(world, key, grant) for grant in ("g-recorded", "g-none", "%00", "a%20b")]
    assert {answer.status_code for answer in answers} == {404}
    problems = [answer.json() | {"request_id": ""} for answer in answers]
    assert all(problem == problems[0] for problem in problems)
    assert (problems[0]["reason"], problems[0]["detail"]) == ("GrantNotFound", "There is no such grant.")
    assert revocations(world) == []


@pytest.mark.parametrize("role", ["developer", "auditor", "regulator", "operator"])
def test_nobody_else_revokes(world: WebWorld, role: Any) -> None:
    record(world)
    answer = delete(world, world.key(role, "dev-a" if role == "developer" else ""), "g-recorded")
    assert (answer.status_code, answer.json()["roles"]) == (403, ["person", "business", "platform"])
    assert with_key(world, "DELETE", "/v1/grants/g-recorded", "nothing").status_code == 401


def test_the_apps_token_loses_what_only_that_grant_covered(world: WebWorld) -> None:
    text, _ = give_token(world, "posts", "likes", "follows")
    record(world, scopes=["likes", "posts"])
    record(world, "g-kept", scopes=["posts"])
    key = world.key("person", world.account().tag)
    delete(world, key, "g-recorded")
    kept = world.service.credentials.load_token(hash_of(text))
    assert kept is not None
    assert (kept.scopes, kept.revoked_at_ms) == (("posts", "follows"), None)


def test_a_grant_that_was_over_takes_nothing_from_a_token_given_since(world: WebWorld) -> None:
    record(world)
    key = world.key("person", world.account().tag)
    delete(world, key, "g-recorded")
    text, _ = give_token(world, "posts")
    delete(world, key, "g-recorded")
    kept = world.service.credentials.load_token(hash_of(text))
    assert kept is not None
    assert (kept.scopes, kept.revoked_at_ms) == (("posts",), None)


def test_a_recorded_grant_is_on_the_accounts_page_and_ends_there(world: WebWorld) -> None:
    record(world)
    browser = Browser(world)
    browser.sign_in()
    page = browser.http.get("/account")
    said = text_of(page)
    assert "lets 1 app receive" in said
    assert "as the platform has recorded" in said
    narrow, end = forms_of(page)[:2]
    assert browser.send(narrow, "/account", scope=["posts"]).status_code == 303
    assert "whom you follow" not in text_of(browser.http.get("/account"))
    assert browser.send(end, "/account").status_code == 303
    assert "lets no apps receive" in text_of(browser.http.get("/account"))


def test_programs_see_and_end_recorded_grants(world: WebWorld) -> None:
    record(world)
    key = world.key("person", world.account().tag)
    (app,) = with_key(world, "GET", "/v1/account/apps", key).json()["apps"]
    (grant,) = app["grants"]
    assert (app["name"], app["developer"]) == ("Inbox A", "Example A GmbH")
    assert (grant["grant"], grant["scopes"], grant["webhook_host"]) == ("g-recorded", ["posts", "likes"], "")
    ended = with_key(world, "DELETE", "/v1/account/apps/app-a", key)
    assert ended.json() == {"app": "app-a", "grants_revoked": 1}
    assert with_key(world, "GET", "/v1/account/apps", key).json() == {"apps": []}


def consent(world: WebWorld, *scopes: str) -> tuple[OAuthServer, NewToken, str]:
    """Alice has consented to a request of app A, which has not exchanged it yet: the server, its token, its PIN."""
    server = OAuthServer(world.service, Authenticator(world.service))
    asked_by = server.issue_request_token(world.app_a.app, "oob")
    asked = server.load_asked(asked_by.text)
    assert isinstance(asked, Asked)
    given = server.allow(asked, asked_by.text, world.account().tag, scopes, bytes(32))
    assert given is not None
    assert given.pin is not None
    return server, asked_by, given.pin


def signed_with(world: WebWorld, token: NewToken) -> SignedBy:
    return SignedBy(world.app_a.app, world.service.credentials.load_token(hash_of(token.text)), b"")


def test_a_token_that_is_about_to_be_made_loses_what_only_that_grant_covered(world: WebWorld) -> None:
    record(world)
    server, asked, pin = consent(world, "posts", "likes", "follows")
    delete(world, world.key("person", world.account().tag), "g-recorded")
    made = server.exchange(signed_with(world, asked), pin).token
    kept = world.service.credentials.load_token(hash_of(made.text))
    assert kept is not None
    assert kept.scopes == ("follows",)


def test_a_token_of_which_nothing_would_be_left_is_not_made(world: WebWorld) -> None:
    record(world)
    server, asked, pin = consent(world, "posts", "likes")
    signed = signed_with(world, asked)
    delete(world, world.key("person", world.account().tag), "g-recorded")
    with pytest.raises(ProblemError):
        server.exchange(signed, pin)
    assert world.service.credentials.load_access_tokens(world.account().tag) == []


def test_an_exchange_under_way_gives_no_token_with_what_was_taken_back_meanwhile(world: WebWorld) -> None:
    record(world)
    server, asked, pin = consent(world, "posts", "likes", "follows")
    read_before = signed_with(world, asked)
    delete(world, world.key("person", world.account().tag), "g-recorded")
    with pytest.raises(ProblemError):
        server.exchange(read_before, pin)
    assert world.service.credentials.load_access_tokens(world.account().tag) == []


def test_two_narrowings_of_one_token_at_once_both_hold(
    world: WebWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, _ = give_token(world, "posts", "likes", "follows")
    record(world, scopes=["follows", "likes", "posts"])
    account, credentials = world.account(), world.service.credentials
    load = credentials.load_given_tokens

    def look_too_early(*asked: Any) -> Any:
        monkeypatch.setattr(credentials, "load_given_tokens", load)
        found = load(*asked)
        allow_less(world.service, account, "g-recorded", ["posts", "likes"])
        return found

    monkeypatch.setattr(credentials, "load_given_tokens", look_too_early)
    with pytest.raises(ScopesRefused):
        allow_less(world.service, account, "g-recorded", ["posts", "follows"])
    kept = credentials.load_token(hash_of(text))
    assert kept is not None
    assert set(kept.scopes) == {"posts"}
    (access,) = world.service.accesses.list_access(account)
    assert set(access.scopes) == {"posts", "likes"}
