"""What the ingest API takes and answers, for the OpenAPI text: made from the very types that read and write it.

These types are msgspec's, which decodes strictly and fast; the framework knows nothing of them, so their schemas are put
into the text here, with everything that they refer to in its place.
"""

from __future__ import annotations

import typing
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ledger.gateway.asked import Answer, AttemptAsked
from ledger.gateway.offered import Refusal
from ledger.gateway.reports import RECORDS_MAX, Result
from ledger.ingest.schema import record_type

ITEMS_MAX: Final = RECORDS_MAX
"""How many items one call takes."""

MEDIA_NDJSON: Final = "application/x-ndjson"


class EventTaken(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="accepted"):
    """The event is kept, and on its way."""

    event: Annotated[
        str, Meta(description="the event's id: the one stated, else one made of what the payload says")
    ]
    deliveries: Annotated[
        int, Meta(description="how many webhooks it goes to, if their grants cover it when it is sent")
    ]


class EventThere(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="duplicate"):
    """The event was there before, and says the same; nothing has changed."""

    event: str
    deliveries: int


class EventNotTaken(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="rejected"):
    """The event is not taken; its neighbours are."""

    code: Refusal
    reason: str


EventResult = EventTaken | EventThere | EventNotTaken


class HistoryEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry of the log, as it was hashed."""

    seq: int
    leaf_hash: Annotated[
        str, Meta(description="SHA-256 of a zero byte and the canonical bytes, in lower-case hex")
    ]
    entry: Annotated[
        dict[str, Any], Meta(description="its members; canonical bytes have them sorted, without white space")
    ]


class HistoryPage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Entries about an account's registration, standing, grants and subscriptions; deliveries are not among them."""

    account: Annotated[str, Meta(description="the account's tag")]
    entries: list[HistoryEntry]
    searched_to: Annotated[int, Meta(description="every entry below this number has been looked at")]
    next: (
        Annotated[int, Meta(description="ask again with this `after`; left out at the end of the log")]
        | UnsetType
    ) = UNSET


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of ``kind``, a type that msgspec knows, with no reference left in it."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    inlined = _inline(schema, parts)
    assert isinstance(inlined, dict), "a schema is an object"
    return inlined


def _inline(node: Any, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        beside = {name: value for name, value in node.items() if name != "$ref"}
        return {**_inline(parts[node["$ref"]], parts), **beside}
    # What a discriminator maps to are references again; each alternative states its tag anyway.
    return {name: _inline(value, parts) for name, value in node.items() if name != "discriminator"}


def batch_of(item: dict[str, Any]) -> dict[str, Any]:
    """The schema of an array of 1 to :data:`ITEMS_MAX` of ``item``."""
    return {"type": "array", "items": item, "minItems": 1, "maxItems": ITEMS_MAX}


def results_of(item: dict[str, Any]) -> dict[str, Any]:
    """The schema of the answer to an array: a result for each item, in order."""
    return {
        "type": "object",
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": item}},
    }


def one_or_many(item: dict[str, Any]) -> dict[str, Any]:
    """The schema of one ``item`` or an array of them."""
    return {"oneOf": [item, batch_of(item)]}


def one_or_results(item: dict[str, Any]) -> dict[str, Any]:
    """The schema of the answer to one item, or to an array."""
    return {"oneOf": [item, results_of(item)]}


_EVENT: Final = {
    "type": "object",
    "description": "An Account Activity payload: exactly one event key, and `for_user_id`.",
}
_CLOUD_EVENT: Final = {
    "type": "object",
    "description": "A CloudEvent 1.0 whose data is the payload; `id` is the event's id.",
    "required": ["id", "source", "specversion", "type"],
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "data": _EVENT,
        "data_base64": {"type": "string"},
    },
}

ASKED_SCHEMA: Final = schema_of(AttemptAsked)
ANSWER_SCHEMA: Final = schema_of(Answer)
RECORD_SCHEMA: Final = {"oneOf": [schema_of(kind) for kind in typing.get_args(record_type())]}
RESULT_SCHEMA: Final = schema_of(Result)
EVENT_RESULT_SCHEMA: Final = schema_of(EventResult)
HISTORY_SCHEMA: Final = schema_of(HistoryPage)
EVENT_BODIES: Final = {
    "application/json": {"schema": one_or_many(_EVENT)},
    "application/cloudevents+json": {"schema": _CLOUD_EVENT},
    "application/cloudevents-batch+json": {"schema": batch_of(_CLOUD_EVENT)},
}
