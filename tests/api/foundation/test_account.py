"""Sessions, the account's own page, and its calls."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from ledger.gateway.subscriptions import Evidence
from ledger.gateway.tokens import hash_of
from tests.api.foundation.browser import Browser, PageForm, forms_of, text_of
from tests.api.foundation.test_tokens import asked, codes, consented, exchange
from tests.api.foundation.world import ALICE, BOB, WebWorld, open_web_world, put_webhook


def subscribe(world: WebWorld, account: str = ALICE, scopes: tuple[str, ...] = ("posts", "likes")) -> None:
    """Let app A receive data of ``account``, as the route for it would."""
    webhook = put_webhook(world.service, world.app_a.app)
    world.service.subscriptions.subscribe(
        world.app_a.app, webhook, world.account(account), scopes, Evidence("oauth1")
    )


def give_token(world: WebWorld, *scopes: str) -> tuple[str, str]:
    """An access token of app A, consented to by Alice."""
    token = asked(world)
    given = parse_qs(exchange(world, token, consented(world, token[0], *scopes)).text)
    return given["oauth_token"][0], given["oauth_token_secret"][0]


def with_key(world: WebWorld, method: str, path: str, key: str) -> httpx.Response:
    return world.http.request(method, path, headers={"Authorization": f"Bearer {key}"})


def revocation_of(browser: Browser) -> PageForm:
    """The form that ends the access of the only app on the account's page."""
    (form,) = [one for one in forms_of(browser.http.get("/account")) if one.action.endswith("/revoke")]
    return form


def test_a_sign_in_link_works_once(world: WebWorld) -> None:
    browser, thief = Browser(world), Browser(world)
    link = browser.link()
    assert browser.http.get(link).status_code == 303
    assert thief.http.get(link).status_code == 403
    assert "Sign in" in text_of(thief.http.get("/account"))


def test_a_sign_in_link_does_not_outlive_five_minutes(world: WebWorld) -> None:
    browser = Browser(world)
    link = browser.link()
    world.clock.move(301)
    assert browser.http.get(link).status_code == 403


def test_a_browser_that_looks_ahead_uses_no_link_up(world: WebWorld) -> None:
    browser = Browser(world)
    link = browser.link()
    assert browser.http.get(link, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 204
    assert browser.http.get(link).status_code == 303


def test_a_link_may_lead_to_a_question_and_to_nowhere_else(world: WebWorld) -> None:
    browser = Browser(world)
    token, _ = asked(world)
    answer = browser.http.get(browser.link(oauth_token=token))
    assert answer.headers["location"] == f"../oauth/authorize?oauth_token={token}"
    elsewhere = browser.http.get(
        browser.link() + "?oauth_token=//evil.example/%0d%0aX:1&next=https://evil.example"
    )
    assert elsewhere.headers["location"].startswith("../oauth/authorize?oauth_token=%2F%2Fevil")


def test_only_the_platform_makes_links(world: WebWorld) -> None:
    for role in ("operator", "person", "developer", "auditor"):
        key = world.key(role, world.account().tag)
        answer = world.http.post(
            "/v1/sessions", json={"account": ALICE}, headers={"Authorization": f"Bearer {key}"}
        )
        assert (answer.status_code, answer.json()["roles"]) == (403, ["platform"])


@pytest.mark.parametrize(
    "body",
    [
        '{"account":5}',
        '{"account":""}',
        '{"account":"a b"}',
        "{}",
        '{"account":"1","x":1}',
        "[]",
        '{"account":"1","account":"2"}',
    ],
)
def test_an_unusable_request_for_a_link_is_told_what_is_wrong(world: WebWorld, body: str) -> None:
    headers = {"Authorization": f"Bearer {world.key('platform')}", "Content-Type": "application/json"}
    answer = world.http.post("/v1/sessions", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(world: WebWorld) -> None:
    browser = Browser(world)
    cookie = browser.http.get(browser.link()).headers["set-cookie"].lower()
    for attribute in ("httponly", "samesite=lax", "path=/", "max-age=1800"):
        assert attribute in cookie
    assert "domain" not in cookie


def test_behind_tls_the_cookie_goes_over_tls_only(template: Path, tmp_path: Path) -> None:
    with open_web_world(template, tmp_path, external_urls=("https://api.ledger.example",)) as world:
        browser = Browser(world)
        link = browser.link().replace("https://api.ledger.example", world.base_url)
        answer = browser.http.get(link)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "secure" in cookie.lower()
        assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_a_session_ends_by_itself(world: WebWorld) -> None:
    browser = Browser(world)
    browser.sign_in()
    world.clock.move(1_801)
    assert "Sign in" in text_of(browser.http.get("/account"))


def test_signing_out_ends_the_session_everywhere(world: WebWorld) -> None:
    browser, copy = Browser(world), Browser(world)
    browser.sign_in()
    copy.http.cookies.update(browser.http.cookies)
    page = browser.http.get("/account")
    answer = browser.send(forms_of(page)[-1], "/account")
    assert "Signed out" in text_of(answer)
    assert "Sign in" in text_of(copy.http.get("/account"))


def test_signing_in_anew_ends_the_session_before(world: WebWorld) -> None:
    browser, copy = Browser(world), Browser(world)
    browser.sign_in()
    copy.http.cookies.update(browser.http.cookies)
    browser.sign_in(BOB)
    assert f"Account {BOB}" in text_of(browser.http.get("/account"))
    assert "Sign in" in text_of(copy.http.get("/account"))


@pytest.mark.parametrize("cookie", ["", "ses_", "ses_" + "0" * 64, "link_" + "0" * 64])
def test_a_made_up_cookie_is_no_session(world: WebWorld, cookie: str) -> None:
    answer = world.http.get("/account", headers={"Cookie": f"ledger-session={cookie}"})
    assert "Sign in" in text_of(answer)


def test_a_link_is_no_cookie_and_an_access_token_neither(world: WebWorld) -> None:
    link = Browser(world).link().rsplit("/", 1)[-1]
    access, _ = give_token(world)
    for text in (link, access, f"ses_{link}"):
        answer = world.http.get("/account", headers={"Cookie": f"ledger-session={text}"})
        assert "Sign in" in text_of(answer)


def test_the_page_shows_who_receives_what_since_when_and_what_was_told(world: WebWorld) -> None:
    subscribe(world)
    browser = Browser(world)
    browser.sign_in()
    said = text_of(browser.http.get("/account"))
    for words in (
        "lets 1 app receive",
        "Inbox A",
        "Example A GmbH",
        "hooks.example",
        "your posts, and posts that mention, quote or answer you",
        'the app "Inbox A" of Example A GmbH receives',
    ):
        assert words in said
    assert "direct messages" not in said


def test_the_page_shows_nothing_of_other_accounts(world: WebWorld) -> None:
    subscribe(world)
    browser = Browser(world)
    browser.sign_in(BOB)
    said = text_of(browser.http.get("/account"))
    assert "lets no apps receive" in said
    assert "Inbox A" not in said


def test_an_app_with_a_token_that_receives_nothing_yet_is_shown(world: WebWorld) -> None:
    give_token(world, "direct_messages")
    browser = Browser(world)
    browser.sign_in()
    said = text_of(browser.http.get("/account"))
    assert "may begin to at any moment: Direct messages." in said


def test_ending_access_revokes_grant_and_tokens_and_tells_the_account(world: WebWorld) -> None:
    token = give_token(world)
    subscribe(world)
    browser = Browser(world)
    browser.sign_in()
    answer = browser.send(revocation_of(browser), "/account")
    said = text_of(browser.http.get(answer.headers["location"].replace("../../../", "/")))
    assert answer.status_code == 303
    assert "Done: from now on nothing more is sent" in said
    assert "does not receive your posts" in said
    assert "lets no apps receive" in said
    assert codes(world.signed("GET", "/1.1/probe/user", world.client(None, *token))) == (401, 89)
    entries = [entry.data for entry in world.service.ledger.store.fetch_state()]
    assert [b"account_page" in data for data in entries if b"grant.revoked" in data] == [True]


def test_an_account_can_allow_less_and_is_told(world: WebWorld) -> None:
    subscribe(world, scopes=("posts", "likes", "direct_messages"))
    browser = Browser(world)
    browser.sign_in()
    form = forms_of(browser.http.get("/account"))[0]
    assert form.ticked == ["posts", "likes", "direct_messages"]
    answer = browser.send(form, "/account", scope=["posts"])
    (left,) = world.service.registry.load_subscriptions_of(world.account(ALICE).tag)
    assert (answer.status_code, left.scopes) == (303, ("posts",))
    assert "does not receive your likes" in text_of(browser.http.get("/account"))


def test_what_was_taken_back_does_not_come_back_with_the_apps_token(world: WebWorld) -> None:
    text, _ = give_token(world, "posts", "likes")
    only_likes, _ = give_token(world, "likes")
    subscribe(world, scopes=("posts", "likes"))
    browser = Browser(world)
    browser.sign_in()
    browser.send(forms_of(browser.http.get("/account"))[0], "/account", scope=["posts"])
    kept, gone = (world.service.credentials.load_token(hash_of(one)) for one in (text, only_likes))
    assert kept is not None
    assert gone is not None
    assert (kept.scopes, kept.revoked_at_ms) == (("posts",), None)
    assert gone.revoked_at_ms is not None


def test_nothing_more_can_be_ticked_than_was_allowed(world: WebWorld) -> None:
    subscribe(world, scopes=("posts", "likes"))
    browser = Browser(world)
    browser.sign_in()
    form = forms_of(browser.http.get("/account"))[0]
    answers = [browser.send(form, "/account", scope=scopes) for scopes in (["posts", "follows"], [])]
    (left,) = world.service.registry.load_subscriptions_of(world.account(ALICE).tag)
    assert ([answer.status_code for answer in answers], left.scopes) == ([422, 422], ("likes", "posts"))


def test_the_page_does_not_say_done_of_an_app_that_still_has_access(world: WebWorld) -> None:
    subscribe(world)
    browser = Browser(world)
    browser.sign_in()
    assert "Done" not in text_of(browser.http.get("/account?ended=app-a"))


def test_a_consent_that_was_not_used_yet_ends_with_the_access(world: WebWorld) -> None:
    token = asked(world)
    verifier = consented(world, token[0])
    key = world.key("person", world.account(ALICE).tag)
    with_key(world, "DELETE", "/v1/account/apps/app-a", key)
    assert exchange(world, token, verifier).status_code == 401


def test_ending_access_without_proof_or_session_changes_nothing(world: WebWorld) -> None:
    subscribe(world)
    browser, stranger = Browser(world), Browser(world)
    browser.sign_in()
    stranger.sign_in(BOB)
    form = revocation_of(browser)
    answers = [
        browser.send(form, "/account", proof=""),
        stranger.send(form, "/account"),
        Browser(world).send(form, "/account"),
        browser.http.post("/account/apps/app-b/revoke", data=form.fields),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len(world.service.registry.load_subscriptions_of(world.account(ALICE).tag)) == 1


def test_programs_read_and_end_access_with_the_accounts_own_key(world: WebWorld) -> None:
    subscribe(world)
    give_token(world, "posts")
    key = world.key("person", world.account(ALICE).tag)
    (app,) = with_key(world, "GET", "/v1/account/apps", key).json()["apps"]
    assert (app["app"], app["grants"][0]["scopes"], app["may_receive"]) == (
        "app-a",
        ["likes", "posts"],
        ["Posts"],
    )
    ended = with_key(world, "DELETE", "/v1/account/apps/app-a", key)
    assert ended.json() == {"app": "app-a", "grants_revoked": 1}
    assert with_key(world, "GET", "/v1/account/apps", key).json() == {"apps": []}


def test_ending_the_access_of_an_app_that_has_none_ends_nothing(world: WebWorld) -> None:
    key = world.key("business", world.account(ALICE).tag)
    answer = with_key(world, "DELETE", "/v1/account/apps/nothing", key)
    assert (answer.status_code, answer.json()["grants_revoked"]) == (200, 0)


def test_a_key_of_one_account_ends_nothing_of_another(world: WebWorld) -> None:
    subscribe(world)
    key = world.key("person", world.account(BOB).tag)
    assert with_key(world, "DELETE", "/v1/account/apps/app-a", key).json()["grants_revoked"] == 0
    assert len(world.service.registry.load_subscriptions_of(world.account(ALICE).tag)) == 1
