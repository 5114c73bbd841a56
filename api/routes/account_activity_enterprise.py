"""v1.1 enterprise: webhooks by id, ``/1.1/account_activity/…`` (delivery protocol, section 3.2).

There are no environments here: webhooks are registered in the app's first one, and every webhook of the app is found by its
id, whichever call made it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api.auth import AppCaller
from api.deps import app_only, limited
from api.openapi import responses
from api.routes import subscription_calls, webhook_calls
from api.routes.account_activity_v1 import (
    Owner,
    Parameters,
    Served,
    User,
    UserId,
    WebhookId,
    webhook_body,
)
from api.routes.openapi_parts import DATE_PARAMETERS, NO_CONTENT, URL_PARAMETER
from api.routes.replaying import order_replay
from api.schemas import v1
from api.wording import format_second

router = APIRouter(prefix="/1.1/account_activity", tags=["Account Activity v1.1, enterprise"])

Reader = Annotated[AppCaller, Depends(limited("webhooks", app_only))]


@router.post(
    "/webhooks.json",
    summary="Register a webhook",
    responses=responses(400, 401, 403, 413, 415, 429, dialect="v1"),
    openapi_extra=URL_PARAMETER,
)
def register_enterprise_webhook(caller: Owner, service: Served, parameters: Parameters) -> v1.WebhookV1:
    """Register `url`. It is asked a challenge (CRC) first, and refused (214) unless it passes."""
    webhook_calls.check_may_write(caller.app)
    url = parameters.get("url", "")
    return webhook_body(
        service.webhooks.register(caller.app, caller.app.environments[0], url, product="enterprise")
    )


@router.get("/webhooks.json", summary="List webhooks", responses=responses(400, 401, 403, 429, dialect="v1"))
def list_enterprise_webhooks(caller: Reader, service: Served) -> list[v1.WebhookV1]:
    """All webhooks of the app, by age."""
    return [webhook_body(one) for one in webhook_calls.load_live(service, caller.app)]


@router.put(
    "/webhooks/{webhook_id}.json",
    summary="Challenge a webhook",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def challenge_enterprise_webhook(webhook_id: WebhookId, caller: Owner, service: Served) -> None:
    """Ask the webhook its challenge (CRC) now; passing it makes it valid again."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    webhook_calls.revalidate(service, caller.app, webhook)


@router.delete(
    "/webhooks/{webhook_id}.json",
    summary="Delete a webhook",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def delete_enterprise_webhook(webhook_id: WebhookId, caller: Owner, service: Served) -> None:
    """Delete the webhook. Its subscriptions end, and the grants that they are."""
    webhook_calls.delete(service, caller.app, webhook_calls.load_own(service, caller.app, webhook_id))


@router.post(
    "/webhooks/{webhook_id}/subscriptions/all.json",
    summary="Subscribe the signing account",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 409, 429, dialect="v1"),
)
def subscribe_to_webhook(webhook_id: WebhookId, caller: User, service: Served) -> None:
    """Send the activity of the account whose token signs to the webhook: this is its grant."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    subscription_calls.subscribe(service, caller, [webhook])


@router.get(
    "/webhooks/{webhook_id}/subscriptions/all.json",
    summary="Is the signing account subscribed?",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def check_webhook_subscription(webhook_id: WebhookId, caller: User, service: Served) -> None:
    """204 where the account's activity goes to the webhook, else 404."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    if not subscription_calls.find_own(service, caller, [webhook]):
        raise subscription_calls.unknown_subscription()


@router.delete(
    "/webhooks/{webhook_id}/subscriptions/all.json",
    summary="Unsubscribe the signing account",
    status_code=204,
    response_class=Response,
    deprecated=True,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def unsubscribe_from_webhook(webhook_id: WebhookId, caller: User, service: Served) -> None:
    """End the account's subscription, and the grant that it is; nothing is sent any more when this answers."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    if not subscription_calls.unsubscribe_own(service, caller, [webhook]):
        raise subscription_calls.unknown_subscription()


@router.get(
    "/webhooks/{webhook_id}/subscriptions/all/list.json",
    summary="List subscriptions",
    responses=responses(400, 401, 403, 404, 429, dialect="v1"),
)
def list_webhook_subscriptions(
    webhook_id: WebhookId, caller: Annotated[AppCaller, Depends(limited("list", app_only))], service: Served
) -> v1.WebhookSubscriptions:
    """Whose activity goes to the webhook."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    return v1.WebhookSubscriptions(
        webhook_id=webhook.webhook,
        webhook_url=webhook.url,
        application_id=caller.app.app,
        subscriptions=[
            v1.SubscriberV1(user_id=one) for one in subscription_calls.list_subscribers(service, [webhook])
        ],
    )


@router.delete(
    "/webhooks/{webhook_id}/subscriptions/{user_id}/all.json",
    summary="Unsubscribe an account",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 429, dialect="v1"),
)
def unsubscribe_user_from_webhook(
    webhook_id: WebhookId,
    user_id: UserId,
    caller: Annotated[AppCaller, Depends(limited("subscriptions", app_only))],
    service: Served,
) -> None:
    """End the subscription of one account, and the grant that it is."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    if not subscription_calls.unsubscribe_user(service, caller, [webhook], user_id):
        raise subscription_calls.unknown_subscription()


@router.get(
    "/subscriptions/count.json",
    summary="Count subscriptions",
    responses=responses(400, 401, 403, 429, dialect="v1"),
)
def count_enterprise_subscriptions(
    caller: Annotated[AppCaller, Depends(limited("count", app_only))], service: Served
) -> v1.SubscriptionCount:
    """How many subscriptions the app has, and how many it may have."""
    return v1.SubscriptionCount(**subscription_calls.count(service, caller.app))


@router.post(
    "/replay/webhooks/{webhook_id}/subscriptions/all.json",
    summary="Replay",
    status_code=202,
    responses=responses(400, 401, 403, 404, 409, 429, dialect="v1"),
    openapi_extra=DATE_PARAMETERS,
)
def replay_enterprise_webhook(
    webhook_id: WebhookId,
    caller: Annotated[AppCaller, Depends(limited("replay", app_only))],
    service: Served,
    parameters: Parameters,
) -> v1.ReplayJobV1:
    """Send the activity from `from_date` to `to_date` again, as far as it may still be sent; asks a challenge first."""
    job = order_replay(service, caller.app, webhook_id, parameters)
    return v1.ReplayJobV1(job_id=job.job, created_at=format_second(job.created_at_ms))
