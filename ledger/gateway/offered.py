"""One event as the platform hands it in, read and checked by itself (delivery protocol, section 3.6).

Pure. What is not taken is an answer with a code and a sentence that quotes nothing of the event: these go into logs and
back to callers. Left to others: who the account is, and whether the same event is there already.

A body that is handed in beside its decoded payload has to say the same: what a developer gets is the body, and what was
decided about was the payload. So it is decoded again here, and refused where a name stands in it twice, because two
readers would then see two events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NoReturn

import msgspec

from ledger.core import payloads
from ledger.errors import FormatError

BODY_BYTES_MAX = 256 * 1_024
"""Longest body that is delivered."""

EVENT_ID_CHARACTERS_MAX = 200
PEOPLE_MAX = 1_000
"""Most people that one event may name: each stands in its entries as a tag, and an entry has 65,535 bytes."""

Refusal = Literal[
    "malformed",
    "no_event_key",
    "no_account",
    "unknown_account",
    "erased",
    "too_long",
    "too_many_people",
    "not_what_was_parsed",
    "conflict",
]

_match_event_id = re.compile(r"[!-~]+", re.ASCII).fullmatch
_match_app = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII).fullmatch
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class OfferedEvent:
    """A decoded ``payload``, and where there is one the ``body`` that it was decoded from.

    ``event_id`` is the platform's own id of the event, at most 200 printable ASCII characters; without one an id is made
    of what the payload says (:func:`ledger.core.payloads.event_id`).
    """

    payload: Mapping[str, Any]
    body: bytes | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event ``event_id`` is kept, on its way as ``parcels`` parcels; ``is_duplicate``: it was there before."""

    event_id: str
    parcels: int
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The event was not taken; ``reason`` is a sentence that names nobody."""

    code: Refusal
    reason: str


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event that is sound by itself; people as the platform's ids.

    ``revoked_app`` is the app of a ``user_event.revoke`` and ``revoked_at_ms`` the end of the second that it was revoked in,
    or None where it does not say when: a revocation is not refused for that. ``deleted_posts`` are the posts of a deletion.
    """

    payload: Mapping[str, Any]
    event_id: str
    event_type: str
    account_id: str
    people: frozenset[str]
    is_private: bool
    body: bytes
    revoked_app: str | None = None
    deleted_posts: tuple[str, ...] = ()
    revoked_at_ms: int | None = None


def read_event(offered: OfferedEvent) -> ReadEvent | NotAccepted:
    """``offered`` read, or why it is not taken."""
    payload = offered.payload
    try:
        event_type = payloads.event_type(payload)
    except FormatError as error:
        return NotAccepted("no_event_key", str(error))
    if event_type == "replay_job_status":
        return NotAccepted("no_event_key", "the status of a replay is told by this service, not to it")
    body = _body_of(offered)
    if isinstance(body, NotAccepted):
        return body
    account_id = payloads.account_id(payload)
    if account_id is None:
        return NotAccepted("no_account", "it does not say whose data it is (for_user_id)")
    event_id = payloads.event_id(payload) if offered.event_id is None else offered.event_id
    if len(event_id) > EVENT_ID_CHARACTERS_MAX or not _match_event_id(event_id):
        return NotAccepted(
            "malformed", f"an event id has 1 to {EVENT_ID_CHARACTERS_MAX} printable ASCII characters"
        )
    people = payloads.people(payload) | {account_id}
    if len(people) > PEOPLE_MAX:
        return NotAccepted("too_many_people", f"an event names at most {PEOPLE_MAX} people")
    revoked_app = None
    if event_type == "user_event":
        revoked_app = _revoked_app(payload)
        if revoked_app is None:
            return NotAccepted("malformed", "a user_event says which app was revoked")
    return ReadEvent(
        payload,
        event_id,
        event_type,
        account_id,
        people,
        payloads.is_private(payload),
        body,
        revoked_app,
        _deleted_posts(payload) if event_type == "tweet_delete_events" else (),
        None if revoked_app is None else _revoked_at_ms(payload["user_event"]["revoke"].get("date_time")),
    )


def is_private_deletion(event: ReadEvent, posts: Mapping[str, bool]) -> bool:
    """Whether a deletion is private when ``posts`` says of known posts, by id, whether they were."""
    return payloads.is_private(event.payload, posts)


def post_event_id(post: str) -> str:
    """The id of the event that told of ``post`` when it was made, as :func:`ledger.core.payloads.event_id` has it."""
    return payloads.event_id({"tweet_create_events": [{"id_str": post}]})


def _body_of(offered: OfferedEvent) -> bytes | NotAccepted:
    body = offered.body
    if body is None:
        try:
            body = _encode(offered.payload)
        except (TypeError, ValueError, RecursionError):
            return NotAccepted("malformed", "it cannot be written as JSON")
    elif len(body) <= BODY_BYTES_MAX:
        try:
            said = json.loads(
                body.decode(), object_pairs_hook=_object_without_doubles, parse_constant=_refuse_constant
            )
        except (ValueError, RecursionError):
            return NotAccepted("malformed", "the body is not JSON that everybody reads alike")
        if said != offered.payload:
            return NotAccepted("not_what_was_parsed", "the body says something else than the event")
    if len(body) > BODY_BYTES_MAX:
        return NotAccepted("too_long", f"a body has at most {BODY_BYTES_MAX} bytes")
    return body


def _object_without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise FormatError("a name stands twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise FormatError(f"{name} is no JSON")


def _revoked_app(payload: Mapping[str, Any]) -> str | None:
    told = payload["user_event"].get("revoke")
    target = told.get("target") if isinstance(told, Mapping) else None
    app = target.get("app_id") if isinstance(target, Mapping) else None
    text = str(app) if type(app) in (str, int) else ""
    return text if _match_app(text) else None


def _revoked_at_ms(date_time: object) -> int | None:
    """The last millisecond that ``2018-05-24T09:48:12+00:00`` can mean: what is behind the second is cut off."""
    try:
        told = datetime.fromisoformat(date_time) if isinstance(date_time, str) else None
        if told is None or told.tzinfo is None:
            return None
        told_ms = int(told.timestamp()) * 1_000 + told.microsecond // 1_000
    except (ValueError, OverflowError):
        return None
    return told_ms if told.microsecond else told_ms + 999


def _deleted_posts(payload: Mapping[str, Any]) -> tuple[str, ...]:
    statuses = [event.get("status") for event in payload["tweet_delete_events"] if isinstance(event, Mapping)]
    ids = [str(status.get("id")) for status in statuses if isinstance(status, Mapping)]
    return tuple(dict.fromkeys(ids))
