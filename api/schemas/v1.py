"""Bodies of the v1.1 dialect, premium and enterprise (delivery protocol, section 3.2).

Ids and counts are strings, instants whole seconds. Names are the public API's, so that existing clients read them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

NumericId = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", examples=["1234567890"])]
Count = Annotated[str, Field(pattern=r"^[0-9]+$")]
Second = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", examples=["2016-06-02T23:54:02Z"]
    ),
]
WebhookUrl = Annotated[str, Field(examples=["https://hooks.example/webhooks/twitter"])]

WEBHOOK_EXAMPLE: JsonDict = {
    "id": "1234567890",
    "url": "https://hooks.example/webhooks/twitter",
    "valid": True,
    "created_at": "2016-06-02T23:54:02Z",
}


class WebhookV1(BaseModel):
    """A webhook; ``valid`` is false from a failed challenge (CRC) until one passes."""

    model_config = ConfigDict(json_schema_extra={"examples": [WEBHOOK_EXAMPLE]})

    id: NumericId
    url: WebhookUrl
    valid: bool
    created_at: Second


class Environment(BaseModel):
    """An environment of the app and its webhooks, by age."""

    environment_name: Annotated[str, Field(examples=["prod"])]
    webhooks: list[WebhookV1]


class Environments(BaseModel):
    """All environments of the app, those without webhooks too."""

    environments: list[Environment]


class SubscriberV1(BaseModel):
    """An account that subscribed, by the platform's id."""

    user_id: Annotated[str, Field(pattern=r"^[0-9]{1,19}$", examples=["20212306"])]


class EnvironmentSubscriptions(BaseModel):
    """Whose activity goes to the webhooks of one environment, each account once."""

    environment: Annotated[str, Field(examples=["prod"])]
    application_id: Annotated[str, Field(examples=["11231812"])]
    subscriptions: list[SubscriberV1]


class WebhookSubscriptions(BaseModel):
    """Whose activity goes to one webhook."""

    webhook_id: NumericId
    webhook_url: WebhookUrl
    application_id: Annotated[str, Field(examples=["11231812"])]
    subscriptions: list[SubscriberV1]


class SubscriptionCount(BaseModel):
    """How many subscriptions the app has: all, those that cover direct messages, and how many it may have."""

    account_name: Annotated[str, Field(examples=["my-account"])]
    subscriptions_count_all: Annotated[Count, Field(examples=["1"])]
    subscriptions_count_direct_messages: Annotated[Count, Field(examples=["0"])]
    provisioned_count: Annotated[Count, Field(examples=["50"])]


class ReplayJobV1(BaseModel):
    """A replay that was taken on."""

    job_id: NumericId
    created_at: Second
