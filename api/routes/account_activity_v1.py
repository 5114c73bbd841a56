"""v1.1 premium: webhooks and subscriptions by environment, ``/1.1/account_activity/all/…`` (delivery protocol, section 3.2).

Environment names are those of the app, capital letters count. A subscription goes to every live webhook of its environment;
having it at one of them is having it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from api.auth import AppCaller, UserCaller
from api.deps import any_of_app, app_only, limited, owner, service_of, user
from api.openapi import responses
from api.parameters import parameters_of
from api.routes import subscription_calls, webhook_calls
from api.routes.openapi_parts import NO_CONTENT, NUMERIC, URL_PARAMETER
from api.schemas import v1
from api.service import Service
from api.wording import format_second
from ledger.ports.registry import Webhook

router = APIRouter(prefix="/1.1/account_activity/all", tags=["Account Activity v1.1, premium"])

Owner = Annotated[AppCaller, Depends(limited("webhooks", owner))]
Reader = Annotated[AppCaller, Depends(limited("webhooks", any_of_app))]
User = Annotated[UserCaller, Depends(limited("subscriptions", user))]
Served = Annotated[Service, Depends(service_of)]
Parameters = Annotated[Mapping[str, str], Depends(parameters_of)]
EnvironmentName = Annotated[
    str, Path(description="An environment of the app; capital letters count.", examples=["prod"])
]
WebhookId = Annotated[str, Path(description="The webhook's id.", json_schema_extra=NUMERIC)]
UserId = Annotated[str, Path(description="The platform's id of the account.", json_schema_extra=NUMERIC)]


def webhook_body(webhook: Webhook) -> v1.WebhookV1:
    """``webhook`` as v1.1 writes it."""
    return v1.WebhookV1(
        id=webhook.webhook,
        url=webhook.url,
        valid=webhook.is_valid,
        created_at=format_second(webhook.created_at_ms),
    )


@router.post(
    "/{env_name}/webhooks.json",
    summary="Register a webhook",
    responses=responses(400, 401, 403, 413, 415, 429, dialect="v1"),
    openapi_extra=URL_PARAMETER,
)
def register_webhook(
    env_name: EnvironmentName, caller: Owner, service: Served, parameters: Parameters
) -> v1.WebhookV1:
    """Register `url` for an environment. It is asked a challenge (CRC) first, and refused (214) unless it passes."""
    webhook_calls.check_may_write(caller.app)
    url = parameters.get("url", "")
    return webhook_body(service.webhooks.register(caller.app, env_name, url, product="premium"))


@router.get(
    "/webhooks.json", summary="List all webhooks", responses=responses(400, 401, 403, 429, dialect="v1")
)
def list_all_webhooks(caller: Reader, service: Served) -> v1.Environments:
    """Every environment of the app with its webhooks."""
    webhooks = webhook_calls.load_live(service, caller.app)
    return v1.Environments(
        environments=[
            v1.Environment(
                environment_name=name,
                webhooks=[webhook_body(one) for one in webhooks if one.environment == name],
            )
            for name in caller.app.environments
        ]
    )


@router.get(
    "/{env_name}/webhooks.json",
    summary="List the webhooks of an environment",
    responses=responses(400, 401, 403, 429, dialect="v1"),
)
def list_webhooks(env_name: EnvironmentName, caller: Reader, service: Served) -> list[v1.WebhookV1]:
    """The webhooks of one environment, by age."""
    webhook_calls.check_environment(caller.app, env_name)
    return [webhook_body(one) for one in webhook_calls.load_live(service, caller.app, env_name)]


@router.put(
    "/{env_name}/webhooks/{webhook_id}.json",
    summary="Challenge a webhook",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def challenge_webhook(
    env_name: EnvironmentName, webhook_id: WebhookId, caller: Owner, service: Served
) -> None:
    """Ask the webhook its challenge (CRC) now; passing it makes it valid again."""
    webhook_calls.check_environment(caller.app, env_name)
    webhook = webhook_calls.load_own(service, caller.app, webhook_id, env_name)
    webhook_calls.revalidate(service, caller.app, webhook)


@router.delete(
    "/{env_name}/webhooks/{webhook_id}.json",
    summary="Delete a webhook",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def delete_webhook(env_name: EnvironmentName, webhook_id: WebhookId, caller: Owner, service: Served) -> None:
    """Delete the webhook. Its subscriptions end, and the grants that they are."""
    webhook_calls.check_environment(caller.app, env_name)
    webhook = webhook_calls.load_own(service, caller.app, webhook_id, env_name)
    webhook_calls.delete(service, caller.app, webhook)


@router.post(
    "/{env_name}/subscriptions.json",
    summary="Subscribe the signing account",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 409, 429, dialect="v1"),
)
def subscribe(env_name: EnvironmentName, caller: User, service: Served) -> None:
    """Send the activity of the account whose token signs to the webhooks of the environment: this is its grant."""
    webhook_calls.check_environment(caller.app, env_name)
    webhooks = webhook_calls.load_live(service, caller.app, env_name)
    subscription_calls.subscribe(service, caller, webhooks)


@router.get(
    "/{env_name}/subscriptions.json",
    summary="Is the signing account subscribed?",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def check_subscription(env_name: EnvironmentName, caller: User, service: Served) -> None:
    """204 where the account's activity goes to a webhook of the environment, else 404."""
    webhook_calls.check_environment(caller.app, env_name)
    webhooks = webhook_calls.load_live(service, caller.app, env_name)
    if not subscription_calls.find_own(service, caller, webhooks):
        raise subscription_calls.unknown_subscription()


@router.delete(
    "/{env_name}/subscriptions.json",
    summary="Unsubscribe the signing account",
    status_code=204,
    response_class=Response,
    deprecated=True,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def unsubscribe(env_name: EnvironmentName, caller: User, service: Served) -> None:
    """End the account's subscription, and the grant that it is; nothing is sent any more when this answers."""
    webhook_calls.check_environment(caller.app, env_name)
    webhooks = webhook_calls.load_live(service, caller.app, env_name)
    if not subscription_calls.unsubscribe_own(service, caller, webhooks):
        raise subscription_calls.unknown_subscription()


@router.get(
    "/{env_name}/subscriptions/list.json",
    summary="List subscriptions",
    responses=responses(400, 401, 403, 429, dialect="v1"),
)
def list_subscriptions(
    env_name: EnvironmentName,
    caller: Annotated[AppCaller, Depends(limited("list", app_only))],
    service: Served,
) -> v1.EnvironmentSubscriptions:
    """Whose activity goes to the webhooks of the environment."""
    webhook_calls.check_environment(caller.app, env_name)
    webhooks = webhook_calls.load_live(service, caller.app, env_name)
    return v1.EnvironmentSubscriptions(
        environment=env_name,
        application_id=caller.app.app,
        subscriptions=[
            v1.SubscriberV1(user_id=one) for one in subscription_calls.list_subscribers(service, webhooks)
        ],
    )


@router.delete(
    "/{env_name}/subscriptions/{user_id:id}.json",
    summary="Unsubscribe an account",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def unsubscribe_user(
    env_name: EnvironmentName,
    user_id: UserId,
    caller: Annotated[AppCaller, Depends(limited("subscriptions", app_only))],
    service: Served,
) -> None:
    """End the subscription of one account, and the grant that it is."""
    webhook_calls.check_environment(caller.app, env_name)
    webhooks = webhook_calls.load_live(service, caller.app, env_name)
    if not subscription_calls.unsubscribe_user(service, caller, webhooks, user_id):
        raise subscription_calls.unknown_subscription()


@router.get(
    "/subscriptions/count.json",
    summary="Count subscriptions",
    responses=responses(400, 401, 403, 429, dialect="v1"),
)
@router.get(
    "/count.json",
    summary="Count subscriptions (old path)",
    deprecated=True,
    responses=responses(400, 401, 403, 429, dialect="v1"),
    operation_id="count_subscriptions_old_path",
)
def count_subscriptions(
    caller: Annotated[AppCaller, Depends(limited("count", app_only))], service: Served
) -> v1.SubscriptionCount:
    """How many subscriptions the app has in all environments, and how many it may have."""
    return v1.SubscriptionCount(**subscription_calls.count(service, caller.app))
