"""v2: ``/2/webhooks`` and ``/2/account_activity/…`` (delivery protocol, section 3.3).

Everything that succeeds answers 200 with a body, the deprecated path of the replay too. Like enterprise there are no
environments: webhooks are registered in the app's first one, and every webhook of the app is found by its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.auth import AppCaller, UserCaller
from api.deps import app_only, limited, owner_or_app, service_of, user
from api.openapi import responses
from api.parameters import parameters_of
from api.problems import ProblemError
from api.routes import subscription_calls, webhook_calls
from api.routes.openapi_parts import DATE_PARAMETERS, REPLAY_PARAMETERS, URL_PARAMETER
from api.routes.replaying import order_replay
from api.schemas import v2
from api.service import Service
from api.wording import format_millisecond
from ledger.gateway.subscriptions import SubscriptionUnknown
from ledger.ports.outbox import Replay
from ledger.ports.registry import Webhook

router = APIRouter(prefix="/2", tags=["Account Activity v2"])

Manager = Annotated[AppCaller, Depends(limited("webhooks", owner_or_app))]
User = Annotated[UserCaller, Depends(limited("subscriptions", user))]
Replayer = Annotated[AppCaller, Depends(limited("replay", app_only))]
Served = Annotated[Service, Depends(service_of)]
Parameters = Annotated[Mapping[str, str], Depends(parameters_of)]
NumericId = Annotated[str, Path(pattern=webhook_calls.WEBHOOK_ID_PATTERN, examples=["1146654567674912769"])]


def webhook_body(webhook: Webhook) -> v2.Webhook:
    """``webhook`` as v2 writes it."""
    return v2.Webhook(
        id=webhook.webhook,
        url=webhook.url,
        valid=webhook.is_valid,
        created_at=format_millisecond(webhook.created_at_ms),
    )


def _replay_body(job: Replay) -> v2.ReplayJobAnswer:
    return v2.ReplayJobAnswer(
        data=v2.ReplayJob(job_id=job.job, created_at=format_millisecond(job.created_at_ms))
    )


@router.post(
    "/webhooks",
    summary="Register a webhook",
    responses=responses(400, 401, 403, 413, 415, 429, dialect="v2"),
    openapi_extra=URL_PARAMETER,
)
def create_webhook(caller: Manager, service: Served, parameters: Parameters) -> v2.WebhookAnswer:
    """Register `url`. It is asked a challenge (CRC) first, and refused unless it passes."""
    webhook_calls.check_may_write(caller.app)
    url = parameters.get("url", "")
    webhook = service.webhooks.register(caller.app, caller.app.environments[0], url, product="enterprise")
    return v2.WebhookAnswer(data=webhook_body(webhook))


@router.get("/webhooks", summary="List webhooks", responses=responses(400, 401, 403, 429, dialect="v2"))
def get_webhooks(caller: Manager, service: Served) -> v2.WebhookList:
    """All webhooks of the app, by age."""
    found = [webhook_body(one) for one in webhook_calls.load_live(service, caller.app)]
    return v2.WebhookList(data=found, meta=v2.Listed(result_count=len(found)))


@router.post(
    "/webhooks/replay",
    summary="Replay",
    responses=responses(400, 401, 403, 404, 409, 413, 415, 429, dialect="v2"),
    openapi_extra=REPLAY_PARAMETERS,
)
def create_webhook_replay(caller: Replayer, service: Served, parameters: Parameters) -> v2.ReplayJobAnswer:
    """Send the activity from `from_date` to `to_date` again, as far as it may still be sent; asks a challenge first."""
    webhook_id = parameters.get("webhook_id")
    if not webhook_id:
        raise ProblemError("malformed", "webhook_id is required.", reason="QueryParamInvalid")
    return _replay_body(order_replay(service, caller.app, webhook_id, parameters))


@router.put(
    "/webhooks/{webhook_id:id}",
    summary="Challenge a webhook",
    responses=responses(400, 401, 403, 404, 429, dialect="v2"),
)
def validate_webhook(webhook_id: NumericId, caller: Manager, service: Served) -> v2.ValidityAnswer:
    """Ask the webhook its challenge (CRC) now; passing it makes it valid again."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    webhook_calls.revalidate(service, caller.app, webhook)
    return v2.ValidityAnswer(data=v2.Validity(valid=True))


@router.delete(
    "/webhooks/{webhook_id:id}",
    summary="Delete a webhook",
    responses=responses(400, 401, 403, 404, 429, dialect="v2"),
)
def remove_webhook(webhook_id: NumericId, caller: Manager, service: Served) -> v2.DeletedAnswer:
    """Delete the webhook. Its subscriptions end, and the grants that they are."""
    webhook_calls.delete(service, caller.app, webhook_calls.load_own(service, caller.app, webhook_id))
    return v2.DeletedAnswer(data=v2.Deleted(deleted=True))


@router.post(
    "/account_activity/webhooks/{webhook_id}/subscriptions/all",
    summary="Subscribe the signing account",
    responses=responses(400, 401, 403, 404, 429, dialect="v2"),
)
def create_subscription(webhook_id: NumericId, caller: User, service: Served) -> v2.SubscribedAnswer:
    """Send the activity of the account whose token signs to the webhook: this is its grant."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    subscription_calls.subscribe(service, caller, [webhook])
    return v2.SubscribedAnswer(data=v2.Subscribed(subscribed=True))


@router.get(
    "/account_activity/webhooks/{webhook_id}/subscriptions/all",
    summary="Is the signing account subscribed?",
    responses=responses(400, 401, 403, 404, 429, dialect="v2"),
)
def validate_subscription(webhook_id: NumericId, caller: User, service: Served) -> v2.SubscribedAnswer:
    """Whether the account's activity goes to the webhook."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    found = subscription_calls.find_own(service, caller, [webhook])
    return v2.SubscribedAnswer(data=v2.Subscribed(subscribed=bool(found)))


@router.get(
    "/account_activity/webhooks/{webhook_id}/subscriptions/all/list",
    summary="List subscriptions",
    responses=responses(400, 401, 403, 404, 429, dialect="v2"),
)
def get_subscriptions(
    webhook_id: NumericId,
    caller: Annotated[AppCaller, Depends(limited("list", app_only))],
    service: Served,
) -> v2.SubscriberList:
    """Whose activity goes to the webhook."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    ids = subscription_calls.list_subscribers(service, [webhook])
    return v2.SubscriberList(
        data=[v2.Subscriber(user_id=one) for one in ids], meta=v2.Listed(result_count=len(ids))
    )


@router.delete(
    "/account_activity/webhooks/{webhook_id}/subscriptions/{user_id}/all",
    summary="Unsubscribe an account",
    responses=responses(400, 401, 403, 404, 429, dialect="v2"),
)
def delete_subscription(
    webhook_id: NumericId,
    user_id: NumericId,
    caller: Annotated[AppCaller, Depends(limited("subscriptions", app_only))],
    service: Served,
) -> v2.SubscribedAnswer:
    """End the subscription of one account, and the grant that it is."""
    webhook = webhook_calls.load_own(service, caller.app, webhook_id)
    if not subscription_calls.unsubscribe_user(service, caller, [webhook], user_id):
        raise SubscriptionUnknown
    return v2.SubscribedAnswer(data=v2.Subscribed(subscribed=False))


@router.get(
    "/account_activity/subscriptions/count",
    summary="Count subscriptions",
    responses=responses(400, 401, 403, 429, dialect="v2"),
)
def get_subscription_count(
    caller: Annotated[AppCaller, Depends(limited("count", app_only))], service: Served
) -> v2.SubscriptionCountAnswer:
    """How many subscriptions the app has, and how many it may have."""
    return v2.SubscriptionCountAnswer(
        data=v2.SubscriptionCount(**subscription_calls.count(service, caller.app))
    )


@router.post(
    "/account_activity/replay/webhooks/{webhook_id}/subscriptions/all",
    summary="Replay (old path)",
    deprecated=True,
    responses=responses(400, 401, 403, 404, 409, 429, dialect="v2"),
    openapi_extra=DATE_PARAMETERS,
)
def create_replay(
    webhook_id: NumericId, caller: Replayer, service: Served, parameters: Parameters
) -> v2.ReplayJobAnswer:
    """As `POST /2/webhooks/replay`."""
    return _replay_body(order_replay(service, caller.app, webhook_id, parameters))
