"""The developers' tools for webhooks: state and warning, challenges, secrets, subscriptions, test events.

Registration here may be repeated: with ``if_exists=return``, or with an ``Idempotency-Key``, a URL that is registered
already is answered with its webhook (200) and not refused. The URL itself is what tells two registrations apart, so nothing
has to be remembered for a key.

A *test event* is nobody's data: it says only that it is a test, is signed as deliveries are, and needs no grant. It stands
in the delivery log that developers see, and not in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response

from api.auth import AppCaller
from api.deps import limited
from api.openapi import Responses, responses
from api.problems import ProblemError
from api.routes.developer_caller import Developer, LimitedByWebhook, Own, OwnWebhook, Served
from api.routes.developer_deliveries import attempt_body
from api.routes.openapi_parts import NO_CONTENT
from api.routes.pages_of_lists import PAGE_MAX, Cursor, Limit, format_cursor, parse_cursor
from api.routes.webhook_calls import check_may_write
from api.schemas import developer as bodies
from api.service import Service
from api.wording import format_millisecond
from ledger.gateway.signing import OVERLAP_MS
from ledger.gateway.validity import FAILING_MAX_MS, state_of, warning_of
from ledger.ports.registry import App, Challenge, Webhook

router = APIRouter()

_REGISTERED_BEFORE: Responses = {
    200: {"model": bodies.WebhookHealthAnswer, "description": "It was registered before."}
}

Url = Annotated[str, Query(min_length=1, max_length=2_048, description="The URL as it was registered.")]
AppFilter = Annotated[
    str | None, Query(alias="app", max_length=64, description="One of your apps; else all of them.")
]
EnvironmentFilter = Annotated[str | None, Query(max_length=64, description="Else all environments.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Makes repeating the call safe, as `if_exists=return` does: the URL tells registrations apart.",
    ),
]


def webhook_body(webhook: Webhook, now_ms: int) -> bodies.WebhookHealth:
    """``webhook`` with its health at ``now_ms``."""
    state = state_of(webhook)
    since_ms = webhook.failing_since_ms
    disabled_at_ms = since_ms + FAILING_MAX_MS if state == "failing" and since_ms is not None else None
    return bodies.WebhookHealth(
        id=webhook.webhook,
        url=webhook.url,
        app=webhook.app,
        environment=webhook.environment,
        state=state,
        valid=webhook.is_valid,
        created_at=format_millisecond(webhook.created_at_ms),
        validated_at=_optional(webhook.validated_at_ms),
        failing_since=_optional(since_ms),
        disabled_at=_optional(disabled_at_ms),
        next_challenge_at=format_millisecond(webhook.next_check_at_ms),
        reason=webhook.reason,
        warning=_warning(webhook, now_ms),
    )


def _warning(webhook: Webhook, now_ms: int) -> str | None:
    warned = warning_of(webhook, now_ms)
    if warned is not None:
        return (
            f"Its challenges have failed since {format_millisecond(warned.failing_since_ms)}. Unless one is passed before, "
            f"it becomes invalid at {format_millisecond(warned.disabled_at_ms)}, and nothing is delivered any more."
        )
    if webhook.is_valid:
        return None
    return "It is invalid: nothing is delivered until a challenge is passed. Subscriptions are kept."


def _optional(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else format_millisecond(instant_ms)


def challenge_body(challenge: Challenge) -> bodies.Challenge:
    """``challenge`` as developers see it."""
    return bodies.Challenge(
        at=format_millisecond(challenge.at_ms),
        trigger=challenge.trigger,
        passed=challenge.is_passed,
        status=challenge.status,
        latency_ms=challenge.latency_ms,
        reason=challenge.reason,
    )


def _load(
    service: Service, apps: Sequence[App], environment: str | None, url: str | None
) -> list[OwnWebhook]:
    found = [
        OwnWebhook(app, webhook)
        for app in apps
        for webhook in service.registry.load_webhooks(app.app)
        if url in (None, webhook.url) and environment in (None, webhook.environment)
    ]
    return sorted(found, key=lambda own: (own.webhook.created_at_ms, own.webhook.webhook))


@router.get("/webhooks", summary="List webhooks", responses=responses(400, 401, 403, 404))
def list_developer_webhooks(
    caller: Developer,
    service: Served,
    app: AppFilter = None,
    environment: EnvironmentFilter = None,
    url: Annotated[str | None, Query(max_length=2_048)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> bodies.WebhookHealthList:
    """Your webhooks with their state, by age."""
    behind = parse_cursor(cursor, int, str)
    found = [one.webhook for one in _load(service, caller.choose(app), environment, url)]
    if behind is not None:
        found = [one for one in found if (one.created_at_ms, one.webhook) > behind]
    page, now_ms = found[:limit], service.clock.now_ms()
    last = page[-1] if len(found) > limit else None
    return bodies.WebhookHealthList(
        data=[webhook_body(one, now_ms) for one in page],
        meta=bodies.Page(
            result_count=len(page),
            next_cursor=None if last is None else format_cursor(last.created_at_ms, last.webhook),
        ),
    )


async def _app_of_new(body: bodies.NewWebhook, caller: Developer) -> AppCaller:
    return AppCaller(caller.choose_one(body.app), "bearer")


@router.post(
    "/webhooks",
    summary="Register a webhook, repeatably",
    status_code=201,
    responses=_REGISTERED_BEFORE | responses(400, 401, 403, 404, 413, 415, 422, 429),
)
def register_developer_webhook(
    body: bodies.NewWebhook,
    owner: Annotated[AppCaller, Depends(limited("webhooks", _app_of_new))],
    service: Served,
    response: Response,
    if_exists: Annotated[
        Literal["fail", "return"], Query(description="What to do where the URL is registered already.")
    ] = "fail",
    idempotency_key: IdempotencyKey = None,
) -> bodies.WebhookHealthAnswer:
    """Register `url`. It is asked a challenge (CRC) first, and refused unless it passes."""
    app = owner.app
    check_may_write(app)
    known = {one.webhook for one in service.registry.load_webhooks(app.app)}
    webhook = service.webhooks.register(
        app,
        body.environment or app.environments[0],
        body.url,
        product="enterprise" if body.environment is None else "premium",
        is_repeatable=if_exists == "return" or idempotency_key is not None,
    )
    if webhook.webhook in known:
        response.status_code = 200
    return bodies.WebhookHealthAnswer(data=webhook_body(webhook, service.clock.now_ms()))


@router.delete(
    "/webhooks",
    summary="Delete a webhook by its URL",
    status_code=204,
    response_class=Response,
    responses=NO_CONTENT | responses(400, 401, 403, 404, 409),
)
def delete_developer_webhook(
    caller: Developer,
    service: Served,
    url: Url,
    app: AppFilter = None,
    environment: EnvironmentFilter = None,
) -> None:
    """Delete the webhook of this URL. Its subscriptions end, and the grants that they are."""
    found = _load(service, caller.choose(app), environment, url)
    if not found:
        raise ProblemError("not-found", "You have no webhook of this URL.")
    if len(found) > 1:
        raise ProblemError(
            "conflict", "Several of your webhooks have this URL: say which `app` and `environment` is meant."
        )
    check_may_write(found[0].app)
    service.webhooks.delete(found[0].app, found[0].webhook.webhook)


@router.get("/webhooks/{webhook_id}", summary="A webhook's state", responses=responses(401, 403, 404))
def get_developer_webhook(own: Own, service: Served) -> bodies.WebhookHealthAnswer:
    """One webhook, its health, and a warning before it is disabled."""
    return bodies.WebhookHealthAnswer(data=webhook_body(own.webhook, service.clock.now_ms()))


@router.get(
    "/webhooks/{webhook_id}/challenges",
    summary="A webhook's challenges",
    responses=responses(400, 401, 403, 404),
)
def list_challenges(
    own: Own, service: Served, cursor: Cursor = None, limit: Limit = 100
) -> bodies.ChallengeList:
    """The last 1,000 challenges with their exact reasons, the newest first."""
    behind = parse_cursor(cursor, int, int)
    kept = service.registry.load_challenges(own.webhook.webhook, PAGE_MAX)
    # Several may be of one millisecond: a place is a time and how many of that time came before.
    placed: list[tuple[tuple[int, int], Challenge]] = []
    for challenge in kept:
        same = placed[-1][0][1] + 1 if placed and placed[-1][0][0] == -challenge.at_ms else 0
        placed.append(((-challenge.at_ms, same), challenge))
    if behind is not None:
        at_ms, same = int(behind[0]), int(behind[1])
        placed = [one for one in placed if one[0] > (-at_ms, same)]
    page = placed[:limit]
    last = page[-1][0] if len(placed) > limit else None
    return bodies.ChallengeList(
        data=[challenge_body(challenge) for _, challenge in page],
        meta=bodies.Page(
            result_count=len(page),
            next_cursor=None if last is None else format_cursor(-last[0], last[1]),
        ),
    )


@router.post(
    "/webhooks/{webhook_id}/challenges",
    summary="Challenge a webhook",
    status_code=201,
    responses=responses(401, 403, 404, 429),
)
def challenge_now(own: Own, _: LimitedByWebhook, service: Served) -> bodies.ChallengeAnswer:
    """Ask the webhook its challenge (CRC) now; what came of it, passed or not."""
    check_may_write(own.app)
    challenge = service.webhooks.revalidate(own.app, own.webhook.webhook)
    return bodies.ChallengeAnswer(data=challenge_body(challenge))


@router.post(
    "/webhooks/{webhook_id}/test-events",
    summary="Send a test event",
    responses=responses(401, 403, 404, 429),
)
def send_test_event(own: Own, _: LimitedByWebhook, service: Served) -> bodies.AttemptAnswer:
    """POST `{"test_event": …}` to the webhook, signed as deliveries are; what came of it, once it has."""
    note = service.dispatcher.send_test(own.app, own.webhook)
    note = replace(note, delivery=f"test-{own.webhook.webhook}-{note.at_ms}")
    service.registry.apply([service.outbox.note(note)])
    return bodies.AttemptAnswer(data=attempt_body(note))


@router.get(
    "/webhooks/{webhook_id}/subscriptions",
    summary="A webhook's subscriptions",
    responses=responses(400, 401, 403, 404),
)
def list_developer_subscriptions(
    own: Own, service: Served, cursor: Cursor = None, limit: Limit = 100
) -> bodies.SubscriptionList:
    """Whose activity goes to the webhook: account, grant, since when, and which scopes."""
    behind = parse_cursor(cursor, str)
    after = "" if behind is None else str(behind[0])
    found = service.registry.load_subscriptions(own.webhook.webhook, after, limit + 1)
    page = found[:limit]
    ids = service.vault.account_of([one.account for one in page])
    data = [
        bodies.Subscription(
            user_id=ids[one.account],
            subscription=one.subscription,
            grant=one.grant,
            granted_at=format_millisecond(one.created_at_ms),
            scopes=list(one.scopes),
        )
        for one in page
        if one.account in ids
    ]
    next_cursor = format_cursor(page[-1].subscription) if len(found) > limit else None
    return bodies.SubscriptionList(
        data=data, meta=bodies.Page(result_count=len(data), next_cursor=next_cursor)
    )


@router.get(
    "/webhooks/{webhook_id}/secrets", summary="The secrets that sign now", responses=responses(401, 403, 404)
)
def list_secrets(own: Own, service: Served) -> bodies.SecretsAnswer:
    """The Standard Webhooks secrets of the webhook, the newest first."""
    return bodies.SecretsAnswer(
        data=bodies.Secrets(secrets=service.signing.load_secrets(own.webhook.webhook))
    )


@router.post(
    "/webhooks/{webhook_id}/secrets",
    summary="Rotate the secret",
    status_code=201,
    responses=responses(401, 403, 404, 422, 429),
)
def rotate_secret(own: Own, _: LimitedByWebhook, service: Served) -> bodies.NewSecretAnswer:
    """A new Standard Webhooks secret. The one before it signs beside it for a day, so that nothing is refused meanwhile."""
    check_may_write(own.app)
    until_ms = service.clock.now_ms() + OVERLAP_MS
    secret = service.signing.rotate(own.webhook.webhook)
    return bodies.NewSecretAnswer(
        data=bodies.NewSecret(secret=secret, previous_until=format_millisecond(until_ms))
    )
