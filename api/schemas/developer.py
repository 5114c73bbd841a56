"""Bodies of the developers' tools, ``/v1/developer/…``.

Instants are RFC 3339 with milliseconds. Lists have ``meta`` with how many there are and, where more follow, the cursor to
ask for them with. Nobody's data is in any of them but the platform's id of accounts that subscribed to the caller's app.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Instant = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        examples=["2026-01-15T12:00:00.000Z"],
    ),
]
WebhookId = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", examples=["1768478400000123456"])]
Outcome = Literal["delivered", "failed", "refused", "unknown"]
ParcelState = Literal["waiting", "delivered", "refused", "dead", "expired"]

NEXT_CURSOR = "Hand this in as `cursor` for what comes behind; null at the end."


class Page(BaseModel):
    """About a list: how many are in this answer, and how to get those behind them."""

    result_count: Annotated[int, Field(ge=0)]
    next_cursor: Annotated[str | None, Field(description=NEXT_CURSOR)] = None


class App(BaseModel):
    """An app of the caller."""

    app: Annotated[str, Field(examples=["11231812"])]
    name: str
    developer: str
    environments: list[str]
    can_write: bool
    created_at: Instant


class AppList(BaseModel):
    """The caller's apps, by age."""

    data: list[App]
    meta: Page


class WebhookHealth(BaseModel):
    """A webhook and its health.

    `state`: `valid`; `failing` (challenges fail, deliveries go on, until `disabled_at`); `invalid` (nothing is delivered
    until a challenge is passed). `warning` says in words what is about to happen.
    """

    id: WebhookId
    url: Annotated[str, Field(examples=["https://hooks.example/webhooks/twitter"])]
    app: str
    environment: str
    state: Literal["valid", "failing", "invalid"]
    valid: bool
    created_at: Instant
    validated_at: Instant | None
    failing_since: Instant | None
    disabled_at: Annotated[
        Instant | None, Field(description="When it becomes invalid unless a challenge is passed before.")
    ]
    next_challenge_at: Instant
    reason: Annotated[str | None, Field(description="Why the last challenge failed.")]
    warning: str | None


class WebhookHealthAnswer(BaseModel):
    """One webhook."""

    data: WebhookHealth


class WebhookHealthList(BaseModel):
    """Webhooks, by age."""

    data: list[WebhookHealth]
    meta: Page


class NewWebhook(BaseModel):
    """What to register. `app` may be left out where the caller has one, `environment` for the app's first."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://hooks.example/webhooks/twitter"}]},
    )

    url: Annotated[str, Field(min_length=1, max_length=2_048)]
    app: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    environment: Annotated[str | None, Field(min_length=1, max_length=64)] = None


class Challenge(BaseModel):
    """One challenge (CRC): when, why it was asked, and what came back within 3 seconds."""

    at: Instant
    trigger: Literal["registration", "request", "schedule", "replay"]
    passed: bool
    status: Annotated[int | None, Field(description="HTTP status, null where none came.")]
    latency_ms: Annotated[int, Field(ge=0)]
    reason: Annotated[str | None, Field(description="The exact reason of a failure.")]


class ChallengeAnswer(BaseModel):
    """One challenge."""

    data: Challenge


class ChallengeList(BaseModel):
    """Challenges, the newest first."""

    data: list[Challenge]
    meta: Page


class Subscription(BaseModel):
    """Whose activity goes to a webhook, since when, and under which grant."""

    user_id: Annotated[str, Field(description="The platform's id of the account.")]
    subscription: str
    grant: str
    granted_at: Instant
    scopes: list[str]


class SubscriptionList(BaseModel):
    """Live subscriptions at a webhook; accounts that were erased are left out, so a page may be short."""

    data: list[Subscription]
    meta: Page


class Attempt(BaseModel):
    """One attempt to deliver, or one test event.

    `outcome`: `delivered` (200), `failed` (anything else), `refused` (the ledger's gate said no: `reason` is its code, and
    nothing was sent), `unknown` (nobody saw how it ended). `seq` is the entry in the log that announced or refused it.
    """

    delivery: str
    attempt: Annotated[int, Field(ge=1)]
    webhook: WebhookId
    app: str
    event_type: str
    at: Instant
    outcome: Outcome
    status: int | None
    duration_ms: int | None
    reason: str | None
    seq: int | None
    replay: str | None


class AttemptAnswer(BaseModel):
    """One attempt."""

    data: Attempt


class AttemptList(BaseModel):
    """Attempts, the newest first."""

    data: list[Attempt]
    meta: Page


class Delivery(BaseModel):
    """One event on its way to one webhook. `attempt` is the one that is made next, or was made last."""

    delivery: str
    webhook: WebhookId
    app: str
    environment: str
    state: ParcelState
    attempt: Annotated[int, Field(ge=1)]
    due_at: Instant
    created_at: Instant
    replay: str | None


class DeliveryAnswer(BaseModel):
    """One delivery."""

    data: Delivery


class Replay(BaseModel):
    """A replay job and how far it has come; `sent` counts events that were put on their way again."""

    job_id: WebhookId
    webhook: WebhookId
    app: str
    from_time: Instant
    to_time: Instant
    created_at: Instant
    state: Literal["running", "done", "failed"]
    sent: Annotated[int, Field(ge=0)]
    ended_at: Instant | None


class ReplayAnswer(BaseModel):
    """One job."""

    data: Replay


class ReplayList(BaseModel):
    """Jobs, the newest first."""

    data: list[Replay]
    meta: Page


class Secrets(BaseModel):
    """The webhook's Standard Webhooks secrets that sign now, the newest first."""

    secrets: Annotated[list[str], Field(min_length=1)]


class SecretsAnswer(BaseModel):
    """The secrets that sign now."""

    data: Secrets


class NewSecret(BaseModel):
    """A new secret; the ones before it sign beside it until `previous_until`."""

    secret: str
    previous_until: Instant


class NewSecretAnswer(BaseModel):
    """A new secret."""

    data: NewSecret
