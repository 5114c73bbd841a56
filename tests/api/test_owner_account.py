"""An app that an account owns: one access token registers the webhook and subscribes the account (3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import pytest

from ledger.gateway.tokens import hash_of
from ledger.ports.vault import Subject
from tests.api.callers import Caller, Signer, errors_of
from tests.support.service_world import HOOK, ServiceWorld

BASE = "/1.1/account_activity/all"
URL = f"https://a.example{HOOK}"
NUMBERS = count(90_001)


@dataclass(frozen=True)
class Owned:
    """A caller whose app belongs to ``account``, and a library that knows one token."""

    caller: Caller
    account: Subject
    library: Signer


@pytest.fixture
def owned(world: ServiceWorld) -> Owned:
    account = world.new_account(str(next(NUMBERS)))
    caller = Caller.new(world, owner_account=account.tag)
    return Owned(caller, account, caller.user(account))


def entries_of(world: ServiceWorld, kind: str, tag: str) -> list[bytes]:
    rows = world.service.ledger.store.fetch_state()
    return [row.data for row in rows if f'"kind":"{kind}"'.encode() in row.data and tag.encode() in row.data]


def test_one_token_registers_the_webhook_and_subscribes_the_account(owned: Owned) -> None:
    library = owned.library
    registered = library("POST", f"{BASE}/prod/webhooks.json", query={"url": URL})
    assert registered.status_code == 200, registered.text
    assert library("POST", f"{BASE}/prod/subscriptions.json").status_code == 204
    assert library("GET", f"{BASE}/prod/subscriptions.json").status_code == 204
    webhook = registered.json()["id"]
    assert library("PUT", f"{BASE}/prod/webhooks/{webhook}.json").status_code == 204
    assert library("DELETE", f"{BASE}/prod/webhooks/{webhook}.json").status_code == 204


def test_one_token_does_it_in_v2_and_enterprise_as_well(owned: Owned) -> None:
    library = owned.library
    made = library("POST", "/2/webhooks", json={"url": f"{URL}/v2"})
    webhook = made.json()["data"]["id"]
    path = f"/2/account_activity/webhooks/{webhook}/subscriptions/all"
    assert library("POST", path).json() == {"data": {"subscribed": True}}
    assert library("GET", "/2/webhooks").json()["meta"] == {"result_count": 1}
    enterprise = library("POST", "/1.1/account_activity/webhooks.json", query={"url": f"{URL}/e"})
    assert enterprise.status_code == 200


def test_subscribing_the_owner_is_a_grant_with_evidence(owned: Owned) -> None:
    owned.caller.webhook()
    owned.library("POST", f"{BASE}/prod/subscriptions.json")
    (issued,) = entries_of(owned.caller.world, "grant.issued", owned.account.tag)
    assert b'"evidence":{"method":"oauth1","request":"' in issued
    assert b'"consent_text"' not in issued
    assert f'"actor":"account:{owned.account.tag}"'.encode() in issued


def test_registering_alone_grants_nothing(owned: Owned) -> None:
    owned.library("POST", f"{BASE}/prod/webhooks.json", query={"url": URL})
    assert entries_of(owned.caller.world, "grant.issued", owned.account.tag) == []


def test_the_tokens_of_other_accounts_are_no_owners(owned: Owned) -> None:
    stranger = owned.caller.user(owned.caller.world.new_account("80777"))
    answer = stranger("POST", f"{BASE}/prod/webhooks.json", query={"url": URL})
    assert (answer.status_code, errors_of(answer)[0][0]) == (403, 200)


def test_the_owner_of_one_app_is_not_the_owner_of_another(owned: Owned) -> None:
    other = Caller.new(owned.caller.world, "Another")
    answer = other.user(owned.account)("POST", f"{BASE}/prod/webhooks.json", query={"url": URL})
    assert (answer.status_code, errors_of(answer)[0][0]) == (403, 200)


def test_tokens_without_an_account_and_none_are_the_owners_as_before(owned: Owned) -> None:
    for signer in (owned.caller.owner, owned.caller.two_legged):
        assert signer("GET", "/2/webhooks").status_code == 200
        refused = signer("POST", f"{BASE}/prod/subscriptions.json")
        assert (refused.status_code, errors_of(refused)[0][0]) == (403, 200)


def test_who_takes_the_token_back_takes_back_both(owned: Owned) -> None:
    owned.caller.webhook()
    owned.library("POST", f"{BASE}/prod/subscriptions.json")
    app = owned.caller.app.app
    assert owned.caller.world.service.accesses.revoke_app(owned.account, app, channel="account_page") == 1
    for method, path in (("POST", "subscriptions.json"), ("POST", f"webhooks.json?url={URL}")):
        answer = owned.library(method, f"{BASE}/prod/{path}")
        assert (answer.status_code, errors_of(answer)[0][0]) == (401, 89)
    assert owned.caller.owner("GET", "/2/webhooks").status_code == 200


def test_the_token_tells_whose_it_is(owned: Owned) -> None:
    service = owned.caller.world.service
    answer = owned.library("GET", "/1.1/account/verify_credentials.json")
    account_id = service.vault.account_of([owned.account.tag])[owned.account.tag]
    assert answer.json()["id_str"] == account_id


def test_calls_about_webhooks_count_for_the_app_whoever_of_its_owners_signs(owned: Owned) -> None:
    before = int(owned.caller.owner("GET", "/2/webhooks").headers["x-rate-limit-remaining"])
    after = int(owned.library("GET", "/2/webhooks").headers["x-rate-limit-remaining"])
    assert after == before - 1


def test_a_token_of_less_still_registers_and_subscribes_to_less(owned: Owned) -> None:
    service = owned.caller.world.service
    token = service.credentials.load_token(hash_of(owned.library.token))
    assert token is not None
    service.credentials.put_token(replace(token, scopes=("likes",)))
    assert owned.library("POST", f"{BASE}/prod/webhooks.json", query={"url": URL}).status_code == 200
    owned.library("POST", f"{BASE}/prod/subscriptions.json")
    (issued,) = entries_of(owned.caller.world, "grant.issued", owned.account.tag)
    assert b'"scopes":["likes"]' in issued
