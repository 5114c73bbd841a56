"""What an Account Activity payload says: its type, its account, its people, its privacy (delivery protocol, 3.6).

A payload is one JSON object with exactly one event key (an array ``*_events``, or ``user_event``, or
``replay_job_status``) and, but for the last two, ``for_user_id``. Real captures write ids as strings or
integers side by side and carry sentinels (``-1``, ``0``, empty text, null); a sentinel is nobody.

Left to others: event type -> scope (`ledger.core.scopes`), and tags for people (the vault). Rules kept: a
person that the payload names anywhere in the known places is never left out, also inside a quoted, retweeted
or liked post; what cannot be told to be public is private.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ledger.errors import FormatError

Payload = Mapping[str, Any]
"""A decoded payload: what `json.loads` made of a body."""

_PERSON_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_EVENT_ID = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_EVENT_ID_CHARS_MAX = 63
_EVENT_KEY = re.compile(r"[a-z0-9_]{1,56}_events", re.ASCII)
_POST_DEPTH_MAX = 4
_POSTS_INSIDE = ("retweeted_status", "quoted_status")
_ALWAYS_PRIVATE = frozenset(
    {
        "block_events",
        "mute_events",
        "direct_message_events",
        "direct_message_indicate_typing_events",
        "direct_message_mark_read_events",
    }
)
_NEVER_PRIVATE = frozenset({"user_event", "replay_job_status"})


def event_type(payload: Payload) -> str:
    """The one event key of ``payload``; FormatError where there is none, or more than one."""
    found = [
        key
        for key, value in payload.items()
        if (_EVENT_KEY.fullmatch(key) and isinstance(value, list))
        or (key in _NEVER_PRIVATE and isinstance(value, Mapping))
    ]
    if len(found) != 1:
        raise FormatError(f"a payload has one event key, this one has {len(found)}")
    return found[0]


def for_user_id(payload: Payload) -> str | None:
    """The account that ``payload`` is for, or None (`user_event`, `replay_job_status`)."""
    return _person(payload.get("for_user_id"))


def account_id(payload: Payload) -> str | None:
    """The account whose data ``payload`` is: ``for_user_id``, or the user that a `user_event` tells of."""
    account = for_user_id(payload)
    if account is None and event_type(payload) == "user_event":
        account = _person(_get(payload, "user_event", "revoke", "source", "user_id"))
    return account


def people(payload: Payload) -> frozenset[str]:
    """Every person in ``payload``, the account itself included, as decimal platform ids without doubles."""
    found = set(_ids(payload.get("for_user_id"), *_keys(payload.get("users"))))
    kind = event_type(payload)
    if kind == "user_event":
        found.update(_ids(_get(payload, kind, "revoke", "source", "user_id")))
    for event in _events(payload, kind):
        found.update(_people_of_event(event))
    return frozenset(found)


def _people_of_event(event: Payload) -> Iterator[str]:
    created = event.get("message_create")
    for holder in (event, created if isinstance(created, Mapping) else {}):
        yield from _ids(
            holder.get("sender_id"), holder.get("recipient_id"), _get(holder, "target", "recipient_id")
        )
        yield from _people_mentioned(holder.get("message_data"))
    for name in ("source", "target"):
        yield from _ids_of_user(event.get(name))
    yield from _ids(_get(event, "status", "user_id"))
    yield from _people_of_post(event, _POST_DEPTH_MAX)
    yield from _people_of_post(event.get("favorited_status"), _POST_DEPTH_MAX)


def _people_mentioned(holder: object) -> Iterator[str]:
    mentions = _get(holder, "entities", "user_mentions")
    for mention in mentions if isinstance(mentions, list) else ():
        yield from _ids_of_user(mention)


def _people_of_post(post: object, depth_left: int) -> Iterator[str]:
    if not isinstance(post, Mapping) or depth_left == 0:
        return
    yield from _ids_of_user(post.get("user"))
    yield from _ids(post.get("in_reply_to_user_id"), post.get("in_reply_to_user_id_str"))
    for holder in (post, post.get("extended_tweet")):
        yield from _people_mentioned(holder)
    for name in _POSTS_INSIDE:
        yield from _people_of_post(post.get(name), depth_left - 1)


def is_private(payload: Payload, posts: Mapping[str, bool] | None = None) -> bool:
    """Whether ``payload`` tells what not everybody could see.

    ``posts`` says of known posts, by id, whether they were private: a deletion is as private as the post was,
    and an unknown post counts as private, as an unknown event type does.
    """
    kind = event_type(payload)
    if kind in _ALWAYS_PRIVATE:
        return True
    if kind in _NEVER_PRIVATE:
        return False
    return any(_is_event_private(kind, event, posts or {}) for event in _events(payload, kind))


def _is_event_private(kind: str, event: Payload, posts: Mapping[str, bool]) -> bool:
    if kind == "tweet_create_events":
        return _is_protected(event)
    if kind == "favorite_events":
        return _is_protected(event.get("favorited_status"))
    if kind == "tweet_delete_events":
        return posts.get(str(_get(event, "status", "id")), True)
    if kind == "follow_events":
        return event.get("type") != "follow" or any(
            _get(event, name, "protected") is True for name in ("source", "target")
        )
    return True


def _is_protected(post: object, depth_left: int = _POST_DEPTH_MAX) -> bool:
    """Whether the author of ``post``, or of one inside it, is protected; what lies too deep to be looked at counts as so."""
    if not isinstance(post, Mapping):
        return False
    if depth_left == 0:
        return True
    return _get(post, "user", "protected") is True or any(
        _is_protected(post.get(name), depth_left - 1) for name in _POSTS_INSIDE
    )


def event_id(payload: Payload) -> str:
    """A stable id of the event in ``payload``: at most 63 characters of ``[A-Za-z0-9._-]``.

    The event type, ``.``, and the platform's own id where the payload has exactly one event with one; else
    the first 24 hex digits of SHA-256 over the account and the event in one canonical spelling, so that the
    same event for the same account has the same id however its JSON was spaced or ordered. A deletion has no
    id of its own, though its post does.
    """
    kind = event_type(payload)
    events = _events(payload, kind)
    if len(events) == 1:
        own = next((str(events[0][key]) for key in ("id_str", "id") if _is_id(events[0].get(key))), "")
        if _EVENT_ID.fullmatch(own) and len(kind) + 1 + len(own) <= _EVENT_ID_CHARS_MAX:
            return f"{kind}.{own}"
    told = json.dumps([for_user_id(payload), payload[kind]], sort_keys=True, separators=(",", ":"))
    return f"{kind[:38]}.{hashlib.sha256(told.encode()).hexdigest()[:24]}"


def _events(payload: Payload, kind: str) -> list[Payload]:
    value = payload[kind]
    return [event for event in value if isinstance(event, Mapping)] if isinstance(value, list) else []


def _get(value: object, *path: str) -> Any:
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _keys(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, Mapping) else ()


def _is_id(value: object) -> bool:
    return (isinstance(value, str) and value != "") or (type(value) is int and value > 0)


def _person(value: object) -> str | None:
    text = str(value) if type(value) in (str, int) else ""
    return text if _PERSON_ID.fullmatch(text) else None


def _ids(*values: object) -> Iterator[str]:
    for value in values:
        person = _person(value)
        if person is not None:
            yield person


def _ids_of_user(user: object) -> Iterator[str]:
    yield from _ids(_get(user, "id"), _get(user, "id_str"))
