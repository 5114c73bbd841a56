"""v1.1 premium: webhooks by environment, as existing clients call them (delivery protocol, section 3.2)."""

from __future__ import annotations

import re

import pytest

from tests.api.callers import Caller, errors_of
from tests.support.service_world import HOOK, ServiceWorld

ALL = "/1.1/account_activity/all"
URL = f"https://a.example{HOOK}"
NOT_200 = "Non-200 response code during CRC GET request (i.e. 404, 500, etc)."


@pytest.fixture
def caller(world: ServiceWorld) -> Caller:
    return Caller.new(world, environments=("prod", "Dev"))


def test_registration_answers_the_webhook_as_documented(caller: Caller) -> None:
    response = caller.owner("POST", f"{ALL}/prod/webhooks.json", query={"url": URL})
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"id", "url", "valid", "created_at"}
    assert re.fullmatch(r"[0-9]{1,19}", body["id"])
    assert (body["url"], body["valid"]) == (URL, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["created_at"])


@pytest.mark.parametrize("place", ["query", "form", "json"])
def test_the_url_may_stand_in_query_form_or_json(caller: Caller, place: str) -> None:
    response = caller.two_legged("POST", f"{ALL}/prod/webhooks.json", **{place: {"url": URL}})
    assert (response.status_code, response.json().get("url")) == (200, URL)


def test_what_was_registered_is_read_at_once(caller: Caller) -> None:
    made = caller.owner("POST", f"{ALL}/prod/webhooks.json", query={"url": URL}).json()
    assert caller.bearer("GET", f"{ALL}/prod/webhooks.json").json() == [made]


def test_all_webhooks_are_listed_by_environment(caller: Caller) -> None:
    made = caller.owner("POST", f"{ALL}/Dev/webhooks.json", query={"url": URL}).json()
    response = caller.owner("GET", f"{ALL}/webhooks.json")
    assert response.status_code == 200
    assert response.json() == {
        "environments": [
            {"environment_name": "prod", "webhooks": []},
            {"environment_name": "Dev", "webhooks": [made]},
        ]
    }


@pytest.mark.parametrize("who", ["bearer", "owner", "two_legged"])
def test_webhooks_are_read_with_a_bearer_token_or_a_signature(caller: Caller, who: str) -> None:
    assert getattr(caller, who)("GET", f"{ALL}/prod/webhooks.json").status_code == 200


def test_environment_names_are_case_sensitive(caller: Caller) -> None:
    answers = [
        caller.owner("POST", f"{ALL}/{name}/webhooks.json", query={"url": URL}) for name in ("Prod", "dev")
    ]
    assert [(one.status_code, errors_of(one)[0][0]) for one in answers] == [(403, 200), (403, 200)]


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/hook",
        "https://a.example:8443/hook",
        "https://127.0.0.1/hook",
        "https://10.0.0.1/hook",
        "https://localhost/hook",
        "https://user@a.example/hook",
        "not a url",
        "",
    ],
)
def test_a_url_that_does_not_meet_the_requirements_is_refused(caller: Caller, url: str) -> None:
    response = caller.owner("POST", f"{ALL}/prod/webhooks.json", form={"url": url})
    assert response.status_code == 403
    assert errors_of(response) == [(214, "Webhook URL does not meet the requirements.")]


def test_a_missing_url_is_refused_as_one_that_is_none(caller: Caller) -> None:
    response = caller.owner("POST", f"{ALL}/prod/webhooks.json")
    assert errors_of(response) == [(214, "Webhook URL does not meet the requirements.")]


def test_a_webhook_that_fails_its_challenge_is_refused_with_the_reason(world: ServiceWorld) -> None:
    caller = Caller.new(world)
    caller.be_forgotten_by_receivers()
    response = caller.owner("POST", f"{ALL}/prod/webhooks.json", query={"url": URL})
    assert (response.status_code, errors_of(response)) == (403, [(214, NOT_200)])
    assert caller.bearer("GET", f"{ALL}/prod/webhooks.json").json() == []


def test_an_environment_takes_no_more_webhooks_than_it_may_have(caller: Caller) -> None:
    caller.owner("POST", f"{ALL}/prod/webhooks.json", query={"url": URL})
    response = caller.owner("POST", f"{ALL}/prod/webhooks.json", query={"url": f"{URL}/2"})
    assert (response.status_code, errors_of(response)) == (
        403,
        [(214, "Too many resources already created.")],
    )


def test_putting_a_webhook_challenges_it(caller: Caller) -> None:
    webhook = caller.webhook()
    response = caller.owner("PUT", f"{ALL}/prod/webhooks/{webhook.webhook}.json")
    assert (response.status_code, response.content) == (204, b"")
    challenges = caller.world.service.registry.load_challenges(webhook.webhook)
    assert [one.trigger for one in challenges] == ["request", "registration"]


def test_putting_a_webhook_that_fails_tells_the_reason(caller: Caller) -> None:
    webhook = caller.webhook()
    caller.be_forgotten_by_receivers()
    response = caller.owner("PUT", f"{ALL}/prod/webhooks/{webhook.webhook}.json")
    assert (response.status_code, errors_of(response)) == (403, [(214, NOT_200)])


def test_deleting_a_webhook_ends_its_subscriptions_and_their_grants(caller: Caller) -> None:
    webhook = caller.webhook()
    account = caller.world.new_account("70001")
    assert caller.user(account)("POST", f"{ALL}/prod/subscriptions.json").status_code == 204
    response = caller.owner("DELETE", f"{ALL}/prod/webhooks/{webhook.webhook}.json")
    assert (response.status_code, response.content) == (204, b"")
    assert caller.bearer("GET", f"{ALL}/prod/webhooks.json").json() == []
    assert caller.world.service.registry.load_subscriptions_of(account.tag) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_anothers_webhook_is_answered_as_one_that_never_was(caller: Caller, method: str) -> None:
    other = Caller.new(caller.world, "Other").webhook()
    answers = [
        caller.owner(method, f"{ALL}/prod/webhooks/{webhook_id}.json")
        for webhook_id in (other.webhook, "1234567890", "no-number", "9" * 40)
    ]
    assert {(one.status_code, one.text) for one in answers} == {(404, answers[0].text)}
    assert errors_of(answers[0])[0][0] == 34


def test_a_webhook_of_another_environment_is_unknown(caller: Caller) -> None:
    webhook = caller.webhook()
    response = caller.owner("DELETE", f"{ALL}/Dev/webhooks/{webhook.webhook}.json")
    assert (response.status_code, errors_of(response)[0][0]) == (404, 34)


def test_an_app_that_may_only_read_registers_nothing(world: ServiceWorld) -> None:
    caller = Caller.new(world, can_write=False)
    response = caller.owner("POST", f"{ALL}/prod/webhooks.json", query={"url": URL})
    assert (response.status_code, errors_of(response)) == (
        403,
        [(261, "Application cannot perform write actions.")],
    )


def test_registering_takes_the_owners_signature_and_no_bearer_token(caller: Caller) -> None:
    response = caller.bearer("POST", f"{ALL}/prod/webhooks.json", params={"url": URL})
    assert (response.status_code, errors_of(response)[0][0]) == (401, 32)


def test_a_call_without_authentication_is_told_32(caller: Caller) -> None:
    response = caller.client.get(f"{ALL}/prod/webhooks.json")
    assert (response.status_code, errors_of(response)) == (401, [(32, "Could not authenticate you.")])


def test_a_wrong_bearer_token_is_told_89(caller: Caller) -> None:
    response = caller.client.get(f"{ALL}/webhooks.json", headers={"Authorization": "Bearer AAAAwrong"})
    assert (response.status_code, errors_of(response)) == (401, [(89, "Invalid or expired token.")])


def test_an_unknown_path_is_told_34(caller: Caller) -> None:
    response = caller.bearer("GET", f"{ALL}/prod/nothing.json")
    assert (response.status_code, errors_of(response)) == (404, [(34, "Sorry, that page does not exist.")])
