"""The scope table: event types, ``all``, and masks."""

from __future__ import annotations

import pytest

from ledger.core.scopes import (
    ALL_MASK,
    EVENT_TYPES,
    SCOPES,
    is_known_scope,
    mask_of,
    scope_of,
    scopes_of_mask,
)


@pytest.mark.parametrize(
    ("event_type", "scope"),
    [
        ("tweet_create_events", "posts"),
        ("tweet_delete_events", "deletions"),
        ("favorite_events", "likes"),
        ("follow_events", "follows"),
        ("block_events", "blocks_mutes"),
        ("mute_events", "blocks_mutes"),
        ("direct_message_events", "direct_messages"),
        ("direct_message_indicate_typing_events", "dm_indicators"),
        ("direct_message_mark_read_events", "dm_indicators"),
        ("user_event", "lifecycle"),
    ],
)
def test_an_event_type_has_the_scope_of_the_delivery_protocol(event_type: str, scope: str) -> None:
    assert scope_of(event_type) == scope


def test_an_event_type_outside_of_the_table_has_no_scope() -> None:
    assert scope_of("poll_events") is None


def test_every_scope_is_the_scope_of_some_event_type() -> None:
    assert set(EVENT_TYPES.values()) == set(SCOPES)


def test_all_is_a_scope_that_can_be_granted_and_a_misspelt_one_is_not() -> None:
    assert [is_known_scope(scope) for scope in (*SCOPES, "all", "Posts", "")] == [True] * 9 + [False] * 2


def test_all_covers_each_scope() -> None:
    assert mask_of(["all"]) == mask_of(SCOPES) == ALL_MASK


def test_an_unknown_scope_covers_nothing() -> None:
    assert mask_of(["everything"]) == 0


def test_the_intersection_of_all_with_some_scopes_is_those() -> None:
    assert scopes_of_mask(mask_of(["all"]) & mask_of(["likes", "posts"])) == ("posts", "likes")


def test_a_mask_of_every_scope_is_told_as_all() -> None:
    assert scopes_of_mask(ALL_MASK) == ("all",)
