"""What a system that delivers by itself asks about an attempt, and the answers (ledger format, section 1.5).

The API reads the one and writes the others as they are here, so their members, and what is said of them, are the API's.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

BODY_CHARACTERS_MAX = 1 << 20
BODY_BYTES_MAX = 1 << 30
"""No event is anywhere near: a length beyond it is a mistake."""

Id = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 of A-Z a-z 0-9 . _ -")]
Person = Annotated[str, Meta(min_length=1, max_length=64, description="an account by the platform's own id")]
Ordinal = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Millis = Annotated[int, Meta(ge=0, description="milliseconds since 1970, UTC, by the ledger's clock")]
Length = Annotated[int, Meta(ge=0, le=BODY_BYTES_MAX)]
Seq = Annotated[int, Meta(ge=0, description="the entry's number in the log")]
LeafHash = Annotated[str, Meta(description="the entry's leaf hash: 64 lower-case hex digits")]


class AttemptAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False, kw_only=True):
    """One attempt that somebody is about to make."""

    delivery: Annotated[
        Id, Meta(description="the caller's own id of the delivery, the same for all its attempts")
    ]
    attempt: Annotated[Ordinal, Meta(description="1 for the first; every attempt is asked for anew")]
    event: Annotated[Id, Meta(description="the platform's id of the event; kept as a commitment only")]
    event_type: Annotated[
        Id, Meta(description="decides which scope must cover it", examples=["direct_message_events"])
    ]
    account: Annotated[Person, Meta(description="the granting account, by the platform's own id")]
    subjects: Annotated[
        list[Person],
        Meta(max_length=1_000, description="everybody whose data is in it, by the platform's own ids"),
    ]
    private: Annotated[bool, Meta(description="whether the event is not public on the platform")]
    endpoint: Annotated[Id, Meta(description="where it is to go")]
    developer: Annotated[Id, Meta(description="left out: whoever owns the endpoint now")] | UnsetType = UNSET
    app: Annotated[Id, Meta(description="left out: the app that owns the endpoint now")] | UnsetType = UNSET
    environment: Annotated[Id, Meta(description="left out: the endpoint's")] | UnsetType = UNSET
    channel: Literal["push", "pull", "export"] = "push"
    subscription: Id | UnsetType = UNSET
    replay: Annotated[Id, Meta(description="the replay that it is part of")] | UnsetType = UNSET
    worker: Annotated[Id, Meta(description="which of the caller's machines sends it")] | UnsetType = UNSET
    body: (
        Annotated[
            str,
            Meta(
                max_length=BODY_CHARACTERS_MAX,
                description="the body as text; a commitment to its UTF-8 bytes is kept, never the body",
            ),
        ]
        | UnsetType
    ) = UNSET
    body_bytes: (
        Annotated[
            Length, Meta(description="in place of the body, where the ledger is not to see it: its length")
        ]
        | UnsetType
    ) = UNSET


class Permitted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="status", tag="permitted"):
    """Send it now, once, to ``url``, with the ticket in the header ``x-ledger-entry``."""

    delivery: str
    attempt: int
    seq: Seq
    leaf_hash: LeafHash
    ticket: Annotated[str, Meta(description="the log's signed promise that the entry is there")]
    url: str
    grant: Annotated[str, Meta(description="the grant that backs it")]
    send_before: Annotated[
        Millis, Meta(description="the first byte of the body leaves before this, or not at all")
    ]
    now: Annotated[
        Millis, Meta(description="the ledger's clock when it answered, for callers whose clock differs")
    ]


class Missed(msgspec.Struct, frozen=True, gc=False):
    """A grant of the account that came near, and the one test that it failed."""

    grant: str
    code: str
    words: str
    since: (
        Annotated[int, Meta(description="since when it fails, in milliseconds UTC, where that is known")]
        | UnsetType
    ) = UNSET


class NotPermitted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="status", tag="refused"):
    """Do not send it: no live grant of the account covers it. The refusal is an entry, too."""

    delivery: str
    attempt: int
    seq: Seq
    leaf_hash: LeafHash
    code: Annotated[str, Meta(description="the first failing test: a code of the verdict rules")]
    words: str
    nearest: Annotated[
        list[Missed], Meta(description="the account's grants that came near, the nearest first")
    ]


class Repeated(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    tag_field="status",
    tag="repeated",
):
    """This attempt was decided before, and there is no second permit: ask for the next attempt."""

    delivery: str
    attempt: int
    decided: Literal["permitted", "refused"]
    seq: Seq
    leaf_hash: LeafHash
    code: str | UnsetType = UNSET


RejectedCode = Literal["malformed", "conflict", "erased", "unknown_endpoint", "payload_of_another_account"]


class Rejected(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    tag_field="status",
    tag="rejected",
):
    """Nothing was decided and nothing is in the log: what was asked cannot be understood, or contradicts itself."""

    delivery: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    code: RejectedCode
    reason: str


Answer = Permitted | NotPermitted | Repeated | Rejected
