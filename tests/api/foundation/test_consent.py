"""The consent page and what comes of it: who asks, what is allowed, and that nobody else can answer."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ledger.core.scopes import SCOPES
from ledger.gateway.tokens import hash_of
from ledger.ports.credentials import Token
from tests.api.foundation.browser import Browser, forms_of, text_of
from tests.api.foundation.test_tokens import asked, exchange
from tests.api.foundation.world import ALICE, BOB, CALLBACK, WebWorld


def token_of(world: WebWorld, text: str) -> Token:
    token = world.service.credentials.load_token(hash_of(text))
    assert token is not None
    return token


@pytest.fixture
def browser(world: WebWorld) -> Browser:
    signed_in = Browser(world)
    signed_in.sign_in()
    return signed_in


def test_the_page_says_who_asks_for_what_and_how_it_is_taken_back(world: WebWorld, browser: Browser) -> None:
    said = text_of(browser.consent_page(asked(world)[0]))
    for words in (
        "Inbox A",
        "Example A GmbH",
        "https://a.example/",
        "your direct messages, those that others send you included".capitalize(),
        "Direct messages hold other people's words.",
        "You can end it at any time",
        "written into a ledger",
        f"signed in as account {ALICE}",
    ):
        assert words in said


def test_every_scope_has_a_box_and_none_is_ticked_beforehand(world: WebWorld, browser: Browser) -> None:
    form = forms_of(browser.consent_page(asked(world)[0]))[0]
    assert (tuple(form.choices), form.ticked) == (SCOPES, [])


def test_what_is_allowed_are_the_boxes_that_were_ticked(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    browser.answer_consent(token, scopes=["direct_messages"])
    assert token_of(world, token).scopes == ("direct_messages",)
    assert token_of(world, token).account == world.account(ALICE).tag


def test_all_boxes_are_the_scopes_by_name_and_not_a_word_for_whatever_comes(
    world: WebWorld, browser: Browser
) -> None:
    token, _ = asked(world)
    browser.answer_consent(token, scopes=SCOPES)
    assert token_of(world, token).scopes == SCOPES


def test_unknown_boxes_count_for_nothing(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    browser.answer_consent(token, scopes=["likes", "all", "everything"])
    assert token_of(world, token).scopes == ("likes",)


def test_the_hash_that_is_kept_is_that_of_the_text_on_the_page(world: WebWorld, browser: Browser) -> None:
    from api.consent import consent_text

    token, _ = asked(world)
    page = browser.consent_page(token)
    developer = world.service.registry.load_developer("dev-a")
    assert developer is not None
    plain = consent_text(developer, world.app_a.app).plain()
    said = text_of(page)
    assert [line for line in plain.splitlines() if line not in said] == []
    browser.answer_consent(token, scopes=["posts"])
    assert token_of(world, token).consent_text == hashlib.sha256(plain.encode()).digest()


def test_the_browser_goes_to_the_registered_callback_with_token_and_verifier(
    world: WebWorld, browser: Browser
) -> None:
    token, _ = asked(world)
    answer = browser.answer_consent(token, scopes=["posts"])
    location = answer.headers["location"]
    assert answer.status_code == 303
    assert location.startswith(f"{CALLBACK}&oauth_token=")
    assert parse_qs(urlsplit(location).query)["oauth_token"] == [token]


@pytest.mark.parametrize(("scopes", "decision"), [([], "allow"), (["posts"], "cancel"), (["posts"], "other")])
def test_cancel_and_ticking_nothing_allow_nothing(
    world: WebWorld, browser: Browser, scopes: list[str], decision: str
) -> None:
    token = asked(world)
    answer = browser.answer_consent(token[0], scopes=scopes, decision=decision)
    assert answer.headers["location"] == f"{CALLBACK}&denied={token[0]}"
    assert exchange(world, token, "x").status_code == 401
    assert browser.consent_page(token[0]).status_code == 403


def test_an_app_without_a_callback_gets_a_code_for_the_person_to_type(
    world: WebWorld, browser: Browser
) -> None:
    token = asked(world, "oob")
    page = browser.answer_consent(token[0], scopes=["posts"])
    digits = "".join(text_of(page).split("into Inbox A")[-1].split()[:1])
    assert (page.status_code, len(digits), digits.isdigit()) == (200, 7, True)
    assert exchange(world, token, digits).status_code == 200


def test_refusing_an_app_without_a_callback_ends_on_a_page(world: WebWorld, browser: Browser) -> None:
    page = browser.answer_consent(asked(world, "oob")[0], scopes=[])
    assert "Nothing was allowed" in text_of(page)


def test_without_a_session_the_page_asks_to_sign_in_and_shows_no_form_to_allow(world: WebWorld) -> None:
    page = Browser(world).consent_page(asked(world)[0])
    forms = forms_of(page)
    assert "Sign in to answer Inbox A" in text_of(page)
    assert [form.choices for form in forms] == [[]]


def test_a_persons_own_key_signs_in_and_leads_back_to_the_question(world: WebWorld) -> None:
    token, _ = asked(world)
    stranger = Browser(world)
    form = forms_of(stranger.consent_page(token))[0]
    key = world.key("person", world.account(ALICE).tag)
    answer = stranger.send(form, "/oauth/authorize", api_key=key)
    assert (answer.status_code, answer.headers["location"]) == (303, f"oauth/authorize?oauth_token={token}")
    assert "Let Inbox A receive your data?" in text_of(stranger.consent_page(token))


@pytest.mark.parametrize("role", ["platform", "auditor", "developer", "operator"])
def test_a_key_of_no_account_signs_nobody_in(world: WebWorld, role: str) -> None:
    stranger = Browser(world)
    form = forms_of(stranger.consent_page(asked(world)[0]))[0]
    key = world.key(role, world.account(ALICE).tag)  # type: ignore[arg-type]
    answer = stranger.send(form, "/oauth/authorize", api_key=key)
    assert answer.status_code == 403
    assert "no key of a person" in text_of(answer)
    assert "ledger-session" not in str(answer.headers.get_list("set-cookie"))


def test_a_form_without_its_proof_changes_nothing(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    form = forms_of(browser.consent_page(token))[0]
    for proof in ("", "0" * 64):
        answer = browser.send(form, "/oauth/authorize", proof=proof, scope=["posts"], decision="allow")
        assert answer.status_code == 403
    assert token_of(world, token).account is None


def test_a_form_of_another_session_token_or_account_is_not_this_one(
    world: WebWorld, browser: Browser
) -> None:
    token, other_token = asked(world)[0], asked(world)[0]
    stranger = Browser(world)
    stranger.sign_in(BOB)
    forms = [forms_of(stranger.consent_page(token))[0], forms_of(browser.consent_page(other_token))[0]]
    for form in forms:
        form.fields["oauth_token"] = token
        answer = browser.send(form, "/oauth/authorize", scope=["posts"], decision="allow")
        assert answer.status_code == 403
    assert token_of(world, token).account is None


def test_a_form_without_a_session_is_refused(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    form = forms_of(browser.consent_page(token))[0]
    browser.http.cookies.clear()
    answer = browser.send(form, "/oauth/authorize", scope=["posts"], decision="allow")
    assert answer.status_code == 403
    assert token_of(world, token).account is None


def test_a_form_that_another_site_sends_is_refused(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    form = forms_of(browser.consent_page(token))[0]
    for site in ("cross-site", "same-site"):
        answer = browser.http.post(
            "/oauth/authorize",
            data={**form.fields, "scope": "posts", "decision": "allow"},
            headers={"Sec-Fetch-Site": site},
        )
        assert answer.status_code == 403
    assert token_of(world, token).account is None


def test_a_text_that_changed_while_it_was_read_is_not_consented_to(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    form = forms_of(browser.consent_page(token))[0]
    registry = world.service.registry
    registry.apply([registry.put_app(replace(world.app_a.app, name="Quite another name"))])
    answer = browser.send(form, "/oauth/authorize", scope=["posts"], decision="allow")
    assert answer.status_code == 403
    assert token_of(world, token).account is None


def test_a_question_that_was_answered_is_not_asked_again(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    form = forms_of(browser.consent_page(token))[0]
    first = browser.send(form, "/oauth/authorize", scope=["posts"], decision="allow")
    again = browser.send(form, "/oauth/authorize", scope=["likes"], decision="allow")
    assert (first.status_code, again.status_code) == (303, 403)
    assert token_of(world, token).scopes == ("posts",)


def test_an_unknown_and_an_expired_question_are_pages_that_say_so(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    unknown = browser.consent_page("nothing")
    world.clock.move(16 * 60)
    browser.sign_in()
    expired = browser.consent_page(token)
    assert (unknown.status_code, expired.status_code) == (404, 403)
    for page in (unknown, expired):
        assert page.headers["content-type"].startswith("text/html")
    assert "has expired" in text_of(expired)


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {
        name: answer.headers.get(name, "") for name in ("x-frame-options", "referrer-policy", "cache-control")
    }


def test_the_page_is_framed_by_nobody_kept_nowhere_and_tells_no_site_about_itself(
    world: WebWorld, browser: Browser
) -> None:
    page = browser.consent_page(asked(world)[0])
    assert headers_of(page) == {
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    policy = page.headers["content-security-policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert "form-action 'self' https://a.example;" in policy
    assert "unsafe" not in policy


def test_the_policy_lets_the_form_end_at_an_apps_own_scheme(world: WebWorld, browser: Browser) -> None:
    page = browser.consent_page(asked(world, "inbox-app://done")[0])
    assert "form-action 'self' inbox-app:;" in page.headers["content-security-policy"]


def test_names_are_escaped_wherever_they_stand(world: WebWorld, browser: Browser) -> None:
    registry = world.service.registry
    name = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"
    registry.apply([registry.put_app(replace(world.app_a.app, name=name))])
    page = browser.consent_page(asked(world)[0])
    assert "<script" not in page.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page.text
    assert "\\u202e" in page.text


def test_signing_in_with_twitter_shows_the_same_page(world: WebWorld, browser: Browser) -> None:
    token, _ = asked(world)
    pages = [
        browser.http.get(f"/oauth/{name}", params={"oauth_token": token})
        for name in ("authorize", "authenticate")
    ]
    assert pages[0].text == pages[1].text
