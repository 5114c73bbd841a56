"""v1.1 premium: subscriptions, which are grants (delivery protocol, sections 3.1 and 3.2)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ledger.gateway.drafts import live_draft
from ledger.sequencer.draft import expect
from ledger.vault.commitments import SubjectCommitments
from tests.api.callers import Caller, errors_of
from tests.support.service_world import ServiceWorld

ALL = "/1.1/account_activity/all"
SUBSCRIPTIONS = f"{ALL}/prod/subscriptions.json"


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world, environments=("prod", "Dev"))


def entries_of(world: ServiceWorld, kind: str, account: str) -> list[dict[str, Any]]:
    """The entries of ``kind`` about ``account`` (a tag)."""
    store = world.service.ledger.store
    decoded = [json.loads(row.data) for row in store.fetch_range(0, store.size())]
    return [one for one in decoded if one["kind"] == kind and one.get("account") == account]


def test_subscribing_answers_204_without_a_body(caller: Caller) -> None:
    caller.webhook()
    response = caller.user(caller.world.new_account("80001"))("POST", SUBSCRIPTIONS)
    assert (response.status_code, response.content) == (204, b"")


def test_subscribing_is_a_grant_of_what_the_account_left_standing(caller: Caller) -> None:
    webhook = caller.webhook()
    account = caller.world.new_account("80002")
    caller.user(account, ("posts", "direct_messages"))("POST", SUBSCRIPTIONS)
    (grant,) = entries_of(caller.world, "grant.issued", account.tag)
    assert (grant["scopes"], grant["app"], grant["environment"], grant["actor"]) == (
        ["direct_messages", "posts"],
        caller.app.app,
        "prod",
        f"account:{account.tag}",
    )
    (subscription,) = entries_of(caller.world, "subscription.created", account.tag)
    assert (subscription["grant"], subscription["endpoint"]) == (grant["grant"], webhook.webhook)


def test_the_grant_commits_to_the_signed_request_and_to_the_text_that_was_shown(caller: Caller) -> None:
    caller.webhook()
    account = caller.world.new_account("80003")
    shown = hashlib.sha256(b"what the account was shown").digest()
    response = caller.user(account, ("posts",), shown)("POST", SUBSCRIPTIONS)
    (grant,) = entries_of(caller.world, "grant.issued", account.tag)
    sent = response.request.headers["authorization"].removeprefix("OAuth ")
    signed = dict(part.split("=", 1) for part in sent.split(", "))
    signature = signed.pop("oauth_signature").strip('"')
    normalized = "&".join(sorted(f"{name}={value.strip(chr(34))}" for name, value in signed.items()))
    text = _base_string("POST", str(response.request.url), normalized) + b"\n" + _unescape(signature)
    assert grant["evidence"] == {
        "method": "oauth1",
        "request": SubjectCommitments().commit(account, grant["uid"], "request", text),
        "consent_text": shown.hex(),
    }


def _base_string(method: str, url: str, normalized: str) -> bytes:
    from urllib.parse import quote

    return "&".join([method, quote(url, safe="~"), quote(normalized, safe="~")]).encode()


def _unescape(text: str) -> bytes:
    from urllib.parse import unquote

    return unquote(text).encode()


def test_subscribing_twice_is_told_355(caller: Caller) -> None:
    caller.webhook()
    user = caller.user(caller.world.new_account("80004"))
    user("POST", SUBSCRIPTIONS)
    response = user("POST", SUBSCRIPTIONS)
    assert (response.status_code, errors_of(response)) == (409, [(355, "Subscription already exists.")])


def test_subscribing_without_a_webhook_is_refused(caller: Caller) -> None:
    response = caller.user(caller.world.new_account("80005"))("POST", SUBSCRIPTIONS)
    assert errors_of(response) == [(214, "Webhook URL must be defined to create subscriptions.")]


def test_a_subscription_of_one_environment_is_none_of_another(caller: Caller) -> None:
    caller.webhook()
    user = caller.user(caller.world.new_account("80006"))
    user("POST", SUBSCRIPTIONS)
    answers = [user("GET", f"{ALL}/{name}/subscriptions.json") for name in ("prod", "Dev")]
    assert [one.status_code for one in answers] == [204, 404]
    assert errors_of(answers[1]) == [(34, "Sorry, that page does not exist.")]


def test_a_subscription_goes_to_every_webhook_of_its_environment(caller: Caller) -> None:
    first = caller.webhook()
    user = caller.user(caller.world.new_account("80024"))
    user("POST", SUBSCRIPTIONS)
    second = caller.world.service.webhooks.register(
        caller.app, "prod", "https://b.example/hook", product="enterprise"
    )
    answers = [user("POST", SUBSCRIPTIONS).status_code for _ in range(2)]
    assert answers == [204, 409]
    listed = [
        caller.bearer(
            "GET", f"/1.1/account_activity/webhooks/{one.webhook}/subscriptions/all/list.json"
        ).json()
        for one in (first, second)
    ]
    assert [one["subscriptions"] for one in listed] == [[{"user_id": "80024"}]] * 2
    together = caller.bearer("GET", f"{ALL}/prod/subscriptions/list.json").json()
    assert together["subscriptions"] == [{"user_id": "80024"}]


def test_the_list_names_the_accounts_that_subscribed(caller: Caller) -> None:
    caller.webhook()
    for account_id in ("80007", "80008"):
        caller.user(caller.world.new_account(account_id))("POST", SUBSCRIPTIONS)
    response = caller.bearer("GET", f"{ALL}/prod/subscriptions/list.json")
    assert response.status_code == 200
    assert response.json() == {
        "environment": "prod",
        "application_id": caller.app.app,
        "subscriptions": [{"user_id": "80007"}, {"user_id": "80008"}],
    }


def test_whoever_was_erased_is_left_out_of_the_list(caller: Caller) -> None:
    caller.webhook()
    accounts = [caller.world.new_account(account_id) for account_id in ("80021", "80022")]
    for account in accounts:
        caller.user(account)("POST", SUBSCRIPTIONS)
    caller.world.service.vault.erase([accounts[0].tag])
    listed = caller.bearer("GET", f"{ALL}/prod/subscriptions/list.json").json()
    assert listed["subscriptions"] == [{"user_id": "80022"}]


def test_an_account_that_the_ledger_holds_deleted_cannot_subscribe(caller: Caller) -> None:
    caller.webhook()
    account = caller.world.new_account("80023")
    user = caller.user(account)
    deleted = live_draft("account.deleted", "system:gateway", {"account": account.tag})
    expect(caller.world.service.ledger.sequencer.append(deleted))
    response = user("POST", SUBSCRIPTIONS)
    assert (response.status_code, errors_of(response)) == (
        403,
        [(348, "Client application is not permitted to access this user's webhook subscriptions.")],
    )


@pytest.mark.parametrize("path", ["subscriptions/count.json", "count.json"])
def test_subscriptions_are_counted_as_strings(caller: Caller, path: str) -> None:
    caller.webhook()
    caller.user(caller.world.new_account("80009"), ("posts",))("POST", SUBSCRIPTIONS)
    caller.user(caller.world.new_account("80010"))("POST", SUBSCRIPTIONS)
    response = caller.bearer("GET", f"{ALL}/{path}")
    assert (response.status_code, response.json()) == (
        200,
        {
            "account_name": "DeskLine Ltd",
            "subscriptions_count_all": "2",
            "subscriptions_count_direct_messages": "1",
            "provisioned_count": "100000",
        },
    )


def test_an_account_ends_its_own_subscription(caller: Caller) -> None:
    caller.webhook()
    account = caller.world.new_account("80011")
    user = caller.user(account)
    user("POST", SUBSCRIPTIONS)
    response = user("DELETE", SUBSCRIPTIONS)
    assert (response.status_code, response.content) == (204, b"")
    (revoked,) = entries_of(caller.world, "grant.revoked", account.tag)
    assert (revoked["actor"], revoked["channel"]) == (f"account:{account.tag}", "api_account")
    assert [user(method, SUBSCRIPTIONS).status_code for method in ("GET", "DELETE")] == [404, 404]


def test_an_app_ends_the_subscription_of_one_account(caller: Caller) -> None:
    caller.webhook()
    account, other = (caller.world.new_account(account_id) for account_id in ("80012", "80013"))
    for one in (account, other):
        caller.user(one)("POST", SUBSCRIPTIONS)
    response = caller.bearer("DELETE", f"{ALL}/prod/subscriptions/80012.json")
    assert (response.status_code, response.content) == (204, b"")
    (revoked,) = entries_of(caller.world, "grant.revoked", account.tag)
    assert (revoked["actor"], revoked["channel"]) == (f"developer:{caller.app.developer}", "api_developer")
    listed = caller.bearer("GET", f"{ALL}/prod/subscriptions/list.json").json()
    assert listed["subscriptions"] == [{"user_id": "80013"}]


@pytest.mark.parametrize("user_id", ["80014", "1", "nobody"])
def test_ending_a_subscription_that_is_none_is_told_34(caller: Caller, user_id: str) -> None:
    caller.webhook()
    caller.world.new_account("80014")
    response = caller.bearer("DELETE", f"{ALL}/prod/subscriptions/{user_id}.json")
    assert (response.status_code, errors_of(response)) == (404, [(34, "Sorry, that page does not exist.")])


def test_nobody_is_made_known_to_the_ledger_by_asking_for_them(caller: Caller) -> None:
    caller.webhook()
    size = caller.world.service.ledger.store.size()
    caller.bearer("DELETE", f"{ALL}/prod/subscriptions/99999999.json")
    assert caller.world.service.ledger.store.size() == size
    assert caller.world.service.vault.find(["99999999"]) == {}


def test_subscribing_again_after_the_end_is_a_new_grant(caller: Caller) -> None:
    caller.webhook()
    account = caller.world.new_account("80015")
    user = caller.user(account)
    for method in ("POST", "DELETE", "POST"):
        assert user(method, SUBSCRIPTIONS).status_code == 204
    grants = entries_of(caller.world, "grant.issued", account.tag)
    assert len({one["grant"] for one in grants}) == 2


def test_a_subscription_is_made_with_an_accounts_token_and_no_other(caller: Caller) -> None:
    caller.webhook()
    statuses = [
        who("POST", SUBSCRIPTIONS).status_code for who in (caller.owner, caller.two_legged, caller.bearer)
    ]
    assert statuses == [403, 403, 401]


def test_an_app_that_may_only_read_subscribes_nobody(world: ServiceWorld) -> None:
    caller = Caller.new(world, can_write=False)
    response = caller.user(world.new_account("80016"))("POST", SUBSCRIPTIONS)
    assert (response.status_code, errors_of(response)[0][0]) == (403, 261)


@pytest.mark.parametrize("path", ["prod/subscriptions/list.json", "subscriptions/count.json"])
def test_lists_and_counts_take_a_bearer_token_only(caller: Caller, path: str) -> None:
    response = caller.owner("GET", f"{ALL}/{path}")
    assert (response.status_code, errors_of(response)[0][0]) == (401, 32)


def test_how_long_ending_takes_does_not_tell_whether_a_person_is_known(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller.webhook()
    caller.world.new_account("80991")
    service = caller.world.service
    looked: list[str] = []
    waited: list[Any] = []
    load = service.registry.load_subscription

    def note_look(webhook: str, account: str) -> Any:
        looked.append(webhook)
        return load(webhook, account)

    def note_wait(keys: Any, timeout_s: float = 0.0) -> bool:
        waited.append(set(keys))
        return True

    monkeypatch.setattr(service.registry, "load_subscription", note_look)
    monkeypatch.setattr(service.inflight, "wait_for_all", note_wait)
    done = []
    for account_id in ("80991", "80992"):
        looked.clear()
        waited.clear()
        answer = caller.bearer("DELETE", f"{ALL}/prod/subscriptions/{account_id}.json")
        assert answer.status_code == 404
        done.append((list(looked), list(waited)))
    assert done[0] == done[1]
    assert done[0][1] == [{("app", caller.app.app)}]
