"""Event payloads in the shapes of real captures, filled with a reenactment's own people, ids and times.

The templates are JSON files beside this module; every person and text in them is invented. They are filled by
value: wherever a template's known id, name or time stands, as text, as a number or as a key, the new one is
put in the same type, so that what real payloads mix (ids as text and as numbers, sentinels, redundant copies)
stays mixed.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from ledger.reenactment.world import Person

_ACCOUNT = "3001969357"
_PEOPLE = ("4337869213", "5518820017")
_APP = "13090192"
_POSTS = ("1205348660982083584", "1205348660982099001", "1205348660982111222")
_OTHER_POST = "1205348660982111111"
_DELETED_POST = "601430178305220608"
_MESSAGES = ("954491830116155396", "963085315333238788")
_LIKE = "a7ba59eab0bfcba386f7acedac279542"
_TIMES_MS = (
    "1518127020304",
    "1516403560557",
    "1518127183443",
    "1518452444662",
    "1522082006140",
    "1517588749178",
    "1517588749999",
    "1432228155593",
    "1576212489730",
)
_TIME_TEXTS = ("Fri Dec 13 04:48:09 +0000 2019", "Mon Mar 26 16:33:26 +0000 2018")
_REVOKED_AT = "2018-05-24T09:48:12+00:00"
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

TEMPLATES: tuple[str, ...] = (
    "tweet_create_events_mention",
    "tweet_create_events_protected",
    "tweet_create_events_retweet",
    "tweet_delete_events",
    "favorite_events",
    "follow_events",
    "unfollow_events",
    "block_events",
    "unblock_events",
    "mute_events",
    "unmute_events",
    "direct_message_events",
    "direct_message_indicate_typing_events",
    "direct_message_mark_read_events",
    "user_event_revoke",
    "replay_job_status",
)
"""The templates by name."""


@cache
def load_template(name: str) -> dict[str, Any]:
    """The template of this name as it is in its file; not to be changed by the caller."""
    text = files("ledger.reenactment").joinpath("payloads", f"{name}.json").read_text("utf-8")
    template: dict[str, Any] = json.loads(text)
    return template


def platform_id(at_ms: int, number: int) -> str:
    """An id as the platform gives them: the time in its upper bits, ``number`` modulo 2^22 below."""
    return str((at_ms - _SNOWFLAKE_EPOCH_MS) << 22 | number % 2**22)


def fill(
    name: str,
    account: Person,
    other: Person,
    at_ms: int,
    number: int,
    app: str = _APP,
    deleted_post: str | None = None,
) -> dict[str, Any]:
    """Template ``name`` as an event of ``account`` with ``other`` at ``at_ms``.

    ``number`` makes its ids distinct within a millisecond. ``app`` stands where a template names an app, and
    ``deleted_post`` names the post of a deletion.
    """
    moment = datetime.datetime.fromtimestamp(at_ms // 1000, datetime.UTC)
    own_id = platform_id(at_ms, number)
    values = {
        _ACCOUNT: account.person,
        **dict.fromkeys(_PEOPLE, other.person),
        _APP: app,
        **dict.fromkeys(_POSTS, own_id),
        **dict.fromkeys(_MESSAGES, own_id),
        _OTHER_POST: platform_id(at_ms - 60_000, number),
        _DELETED_POST: deleted_post or platform_id(at_ms - 3_600_000, number),
        _LIKE: hashlib.sha256(own_id.encode()).hexdigest()[:32],
        **dict.fromkeys(_TIMES_MS, str(at_ms)),
        **dict.fromkeys(
            _TIME_TEXTS,
            _platform_time(moment),
        ),
        _REVOKED_AT: moment.isoformat(),
    }
    people = {_ACCOUNT: account, **dict.fromkeys(_PEOPLE, other)}
    filled: dict[str, Any] = _Filling(values, people, account, other).fill(load_template(name))
    return filled


def fill_replay_status(endpoint: str, job: int) -> dict[str, Any]:
    """The notice that replay ``job`` of webhook ``endpoint`` is complete."""
    status = load_template("replay_job_status")["replay_job_status"]
    return {"replay_job_status": {**status, "webhook_id": endpoint, "job_id": str(job)}}


def _platform_time(moment: datetime.datetime) -> str:
    day, month = _WEEKDAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day} {month} {moment:%d %H:%M:%S} +0000 {moment.year}"


class _Filling:
    def __init__(
        self, values: dict[str, str], people: dict[str, Person], account: Person, other: Person
    ) -> None:
        self._values = values
        self._people = people
        self._handles = (
            ("@meridianaircare", f"@{account.screen_name}"),
            ("@ines_okafor", f"@{other.screen_name}"),
            ("meridianaircare", account.screen_name),
        )

    def fill(self, value: Any) -> Any:
        filled: dict[str, Any]
        if isinstance(value, dict):
            filled = {(self._values.get(key) or key): self.fill(item) for key, item in value.items()}
            person = self._people.get(str(value.get("id"))) if "screen_name" in value else None
            return filled if person is None else _as_user(filled, person)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str):
            return self._values.get(value) or self._with_handles(value)
        if type(value) is int and str(value) in self._values:
            return int(self._values[str(value)])
        return value

    def _with_handles(self, text: str) -> str:
        for known, new in self._handles:
            text = text.replace(known, new)
        return text


def _as_user(user: dict[str, Any], person: Person) -> dict[str, Any]:
    own = {"name": person.name, "screen_name": person.screen_name, "protected": person.is_protected}
    return {key: own.get(key, value) for key, value in user.items()}
