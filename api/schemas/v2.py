"""Bodies of the v2 dialect (delivery protocol, section 3.3).

Everything stands in ``data``, lists have ``meta.result_count``. Ids and counts are strings, instants have milliseconds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

NumericId = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", examples=["1146654567674912769"])]
Count = Annotated[str, Field(pattern=r"^[0-9]+$")]
Millisecond = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        examples=["2025-01-15T12:00:00.000Z"],
    ),
]

WEBHOOK_EXAMPLE: JsonDict = {
    "id": "1146654567674912769",
    "url": "https://hooks.example/webhooks/twitter",
    "valid": True,
    "created_at": "2025-01-15T12:00:00.000Z",
}


class Webhook(BaseModel):
    """A webhook; ``valid`` is false from a failed challenge (CRC) until one passes."""

    model_config = ConfigDict(json_schema_extra={"examples": [WEBHOOK_EXAMPLE]})

    id: NumericId
    url: Annotated[str, Field(examples=["https://hooks.example/webhooks/twitter"])]
    valid: bool
    created_at: Millisecond


class Listed(BaseModel):
    """About a list: how many there are in this answer."""

    result_count: Annotated[int, Field(ge=0, examples=[1])]


class WebhookAnswer(BaseModel):
    """One webhook."""

    data: Webhook


class WebhookList(BaseModel):
    """The app's webhooks, by age."""

    data: list[Webhook]
    meta: Listed


class Validity(BaseModel):
    """What the challenge of this call came to."""

    valid: bool


class ValidityAnswer(BaseModel):
    """The webhook answered its challenge."""

    data: Validity


class Deleted(BaseModel):
    """That it is gone."""

    deleted: bool


class DeletedAnswer(BaseModel):
    """The webhook is gone, and its subscriptions with it."""

    data: Deleted


class Subscribed(BaseModel):
    """Whether the account's activity goes to the webhook now."""

    subscribed: bool


class SubscribedAnswer(BaseModel):
    """Whether the account's activity goes to the webhook now."""

    data: Subscribed


class Subscriber(BaseModel):
    """An account that subscribed, by the platform's id."""

    user_id: Annotated[str, Field(pattern=r"^[0-9]{1,19}$", examples=["2244994945"])]


class SubscriberList(BaseModel):
    """Whose activity goes to one webhook."""

    data: list[Subscriber]
    meta: Listed


class SubscriptionCount(BaseModel):
    """How many subscriptions the app has: all, those that cover direct messages, and how many it may have."""

    account_name: Annotated[str, Field(examples=["my-account"])]
    subscriptions_count_all: Annotated[Count, Field(examples=["1"])]
    subscriptions_count_direct_messages: Annotated[Count, Field(examples=["0"])]
    provisioned_count: Annotated[Count, Field(examples=["50"])]


class SubscriptionCountAnswer(BaseModel):
    """How many subscriptions the app has."""

    data: SubscriptionCount


class ReplayJob(BaseModel):
    """A replay that was taken on."""

    job_id: NumericId
    created_at: Millisecond


class ReplayJobAnswer(BaseModel):
    """A replay that was taken on."""

    data: ReplayJob
