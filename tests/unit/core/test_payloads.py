"""What payloads say, on the templates of the reenactment and on what real captures mix into them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ledger.core.payloads import account_id, event_id, event_type, for_user_id, is_private, people
from ledger.core.strict import is_id
from ledger.errors import FormatError
from ledger.reenactment.templates import TEMPLATES, load_template

ACCOUNT = "3001969357"
OTHER = "4337869213"
PROTECTED = "5518820017"


def template(name: str) -> dict[str, Any]:
    return copy.deepcopy(load_template(name))


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_event_type_is_the_one_event_key(name: str) -> None:
    expected = {"user_event_revoke": "user_event", "replay_job_status": "replay_job_status"}.get(
        name, next((key for key in load_template(name) if key.endswith("_events")), "")
    )
    assert event_type(load_template(name)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"for_user_id": "1"},
        {"a_events": [], "b_events": []},
        {"follow_events": {}},
        {"Bad Key_events": []},
        {"user_event": []},
    ],
)
def test_a_payload_without_exactly_one_event_key_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        event_type(payload)


def test_the_account_of_a_revocation_is_the_user_it_tells_of() -> None:
    assert for_user_id(template("user_event_revoke")) is None
    assert account_id(template("user_event_revoke")) == ACCOUNT


def test_a_replay_status_is_of_no_account_and_names_nobody() -> None:
    assert account_id(template("replay_job_status")) is None
    assert people(template("replay_job_status")) == frozenset()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (name, {ACCOUNT, PROTECTED})
        if name.endswith("protected")
        else (name, {ACCOUNT})
        if name == "user_event_revoke"
        else (name, {ACCOUNT, OTHER})
        for name in TEMPLATES
        if name != "replay_job_status"
    ],
)
def test_every_person_of_a_template_is_found(name: str, expected: set[str]) -> None:
    assert people(template(name)) == expected


@pytest.mark.parametrize(
    "path",
    [
        ("for_user_id",),
        ("tweet_create_events", 0, "user", "id"),
        ("tweet_create_events", 0, "in_reply_to_user_id"),
        ("tweet_create_events", 0, "entities", "user_mentions", 0, "id"),
        ("tweet_create_events", 0, "retweeted_status", "user", "id"),
        ("tweet_create_events", 0, "quoted_status", "user", "id"),
        ("tweet_create_events", 0, "extended_tweet", "entities", "user_mentions", 0, "id"),
        ("direct_message_events", 0, "message_create", "sender_id"),
        ("direct_message_events", 0, "message_create", "target", "recipient_id"),
        ("direct_message_mark_read_events", 0, "sender_id"),
        ("direct_message_mark_read_events", 0, "target", "recipient_id"),
        ("follow_events", 0, "source", "id"),
        ("follow_events", 0, "target", "id"),
        ("tweet_delete_events", 0, "status", "user_id"),
        ("favorite_events", 0, "user", "id"),
        ("favorite_events", 0, "favorited_status", "user", "id"),
    ],
)
@pytest.mark.parametrize("value", ["987654321", 987654321])
def test_a_person_is_found_in_each_place_as_text_and_as_number(
    path: tuple[str | int, ...], value: str | int
) -> None:
    payload: Any = value
    for step in reversed(path):
        payload = [payload] if isinstance(step, int) else {step: payload}
    if path == ("for_user_id",):
        payload["tweet_create_events"] = []
    assert people(payload) == {"987654321"}


def test_the_keys_of_users_are_people() -> None:
    assert people({"direct_message_events": [], "users": {"12": {}, "x": {}}}) == {"12"}


@pytest.mark.parametrize(
    "sentinel", [-1, 0, "-1", "0", "", None, True, 1.5, "007", "12345678901234567890", []]
)
def test_a_sentinel_is_nobody(sentinel: object) -> None:
    payload = {"follow_events": [{"source": {"id": sentinel, "id_str": sentinel}, "target": {"id": 5}}]}
    assert people(payload) == {"5"}


def test_a_post_quoted_without_end_ends_the_search() -> None:
    post: dict[str, Any] = {"user": {"id": 1}}
    post["quoted_status"] = post
    assert people({"tweet_create_events": [post]}) == {"1"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tweet_create_events_mention", False),
        ("tweet_create_events_protected", True),
        ("tweet_create_events_retweet", False),
        ("tweet_delete_events", True),
        ("favorite_events", False),
        ("follow_events", False),
        ("unfollow_events", True),
        ("block_events", True),
        ("unblock_events", True),
        ("mute_events", True),
        ("unmute_events", True),
        ("direct_message_events", True),
        ("direct_message_indicate_typing_events", True),
        ("direct_message_mark_read_events", True),
        ("user_event_revoke", False),
        ("replay_job_status", False),
    ],
)
def test_privacy_is_as_the_table_says(name: str, expected: bool) -> None:
    assert is_private(template(name)) is expected


@pytest.mark.parametrize("which", ["retweeted_status", "quoted_status"])
def test_a_post_around_a_protected_one_is_private(which: str) -> None:
    payload = template("tweet_create_events_mention")
    payload["tweet_create_events"][0][which] = {"user": {"id": 1, "protected": True}}
    assert is_private(payload)


def test_a_like_of_a_protected_authors_post_is_private() -> None:
    payload = template("favorite_events")
    payload["favorite_events"][0]["favorited_status"]["user"]["protected"] = True
    assert is_private(payload)


@pytest.mark.parametrize("side", ["source", "target"])
def test_following_with_a_protected_side_is_private(side: str) -> None:
    payload = template("follow_events")
    payload["follow_events"][0][side]["protected"] = True
    assert is_private(payload)


@pytest.mark.parametrize("was_private", [True, False])
def test_a_deletion_is_as_private_as_the_post_was(was_private: bool) -> None:
    assert is_private(template("tweet_delete_events"), {"601430178305220608": was_private}) is was_private


def test_an_unknown_event_type_is_private() -> None:
    assert is_private({"for_user_id": "1", "novel_events": [{}]})


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_event_id_is_stable_and_fit_for_a_ledger(name: str) -> None:
    payload = template(name)
    shuffled = json.loads(json.dumps(payload, indent=3, sort_keys=True))
    assert event_id(shuffled) == event_id(payload)
    assert is_id(event_id(payload))


def test_the_platforms_own_id_is_kept() -> None:
    assert event_id(template("direct_message_events")) == "direct_message_events.954491830116155396"


def test_an_id_that_no_entry_could_hold_is_computed() -> None:
    payload = template("direct_message_events")
    payload["direct_message_events"][0]["id"] = "not an id" * 20
    assert is_id(event_id(payload))


def test_a_computed_id_tells_accounts_and_events_apart() -> None:
    first, other_account, other_time = (template("follow_events") for _ in range(3))
    other_account["for_user_id"] = "77"
    other_time["follow_events"][0]["created_timestamp"] = "1517588749179"
    assert len({event_id(payload) for payload in (first, other_account, other_time)}) == 3


def test_a_post_that_a_retweeted_post_quotes_is_looked_at_too() -> None:
    quoted: dict[str, Any] = {"user": {"id": 7, "protected": True}}
    post = {"user": {"id": 5}, "retweeted_status": {"user": {"id": 6}, "quoted_status": quoted}}
    payload = {"for_user_id": "1", "tweet_create_events": [post]}
    assert is_private(payload)
    quoted["user"]["protected"] = False
    assert not is_private(payload)


def test_what_lies_too_deep_to_be_looked_at_is_private() -> None:
    post: dict[str, Any] = {"user": {"id": 7}}
    post["quoted_status"] = post
    assert is_private({"for_user_id": "1", "tweet_create_events": [post]})


def test_whoever_a_message_mentions_is_in_it() -> None:
    data = {"text": "", "entities": {"user_mentions": [{"id": 555, "id_str": "555"}]}}
    created = {"sender_id": "2", "target": {"recipient_id": "1"}, "message_data": data}
    event = {"id": "9", "message_create": created}
    assert people({"for_user_id": "1", "direct_message_events": [event]}) == {"1", "2", "555"}
