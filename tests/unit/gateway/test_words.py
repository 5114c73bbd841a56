"""What accounts are told, word for word."""

from __future__ import annotations

import pytest

from ledger.core.scopes import SCOPES
from ledger.gateway.words import (
    CHANNELS_IN_WORDS,
    SCOPES_IN_WORDS,
    scopes_in_words,
    tell_narrowed,
    tell_revoked,
    time_in_words,
)

AT_MS = 1_536_537_600_000


def test_a_time_is_said_in_utc_to_the_minute() -> None:
    assert time_in_words(AT_MS + 59_999) == "2018-09-10 00:00 UTC"


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_is_said_in_its_own_words(scope: str) -> None:
    assert scopes_in_words([scope]) == (SCOPES_IN_WORDS[scope],)


def test_everything_is_said_as_each_scope() -> None:
    assert scopes_in_words(["all"]) == scopes_in_words(reversed(SCOPES)) == tuple(SCOPES_IN_WORDS.values())


def test_narrowing_everything_says_what_is_lost_and_what_is_left() -> None:
    text = tell_narrowed("Box", "Acme", ["all"], ["posts"], AT_MS)
    lost, left = text.split(" any more. ")
    assert all(words in lost for scope, words in SCOPES_IN_WORDS.items() if scope != "posts")
    assert left == f"It still receives {SCOPES_IN_WORDS['posts']}."


@pytest.mark.parametrize("channel", CHANNELS_IN_WORDS)
def test_a_revocation_says_who_ended_it(channel: str) -> None:
    assert CHANNELS_IN_WORDS[channel] in tell_revoked("Box", "Acme", ["posts"], channel, AT_MS)


def test_a_channel_without_words_is_named() -> None:
    assert "It was ended through: support_desk." in tell_revoked(
        "Box", "Acme", ["posts"], "support_desk", AT_MS
    )
