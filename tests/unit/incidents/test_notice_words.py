"""What notices say: in every state of an obligation, of certain and possible exposure, to accounts and to others."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import msgspec
import pytest

from ledger.incidents.notice_words import (
    SUBJECT_CHARACTERS_MAX,
    About,
    Summary,
    deletion_in_words,
    read_summary,
    state_in_words,
    subject_of,
    summary_of,
    template_hash,
    write_notice,
)
from ledger.ports.incidents import AffectedPerson
from ledger.ports.notices import Medium
from ledger.ports.obligations import STATES, ObligationState
from tests.conformance.notice_samples import obligation
from tests.conformance.service_samples import NOW_MS, tag

PERSON = AffectedPerson(
    account=tag("ann"),
    is_definite=True,
    is_granting=True,
    is_other=False,
    deliveries=2,
    first_at_ms=NOW_MS,
    last_at_ms=NOW_MS + 120_000,
    received_by=("dev-a",),
    event_types=("direct_message_events",),
    private=True,
)
ABOUT = About("i-1", None, None, {"dev-a": "Acme Ltd"}, [])


def text_of(person: AffectedPerson = PERSON, about: About = ABOUT, medium: Medium = "email") -> str:
    return write_notice(medium, read_summary(summary_of(person)), about)


def test_a_summary_is_kept_and_read_back() -> None:
    told = read_summary(summary_of(PERSON))
    assert told == Summary(
        True, True, 2, NOW_MS, NOW_MS + 120_000, ("dev-a",), ("direct_message_events",), True
    )
    assert PERSON.account not in summary_of(PERSON)
    assert msgspec.json.decode(summary_of(PERSON))["deliveries"] == 2


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_words(state: ObligationState) -> None:
    one = obligation(state=state, attested_at_ms=NOW_MS, steps=("remind", "suspend_deliveries"))
    words = f"Acme Ltd {state_in_words(one)}"
    assert words.endswith(".")
    assert deletion_in_words(read_summary(summary_of(PERSON)), replace(ABOUT, obligations=[one])) == [words]


def test_what_is_only_possible_is_not_said_to_have_happened() -> None:
    assert "went to somebody" in text_of()
    possible = text_of(replace(PERSON, is_definite=False))
    assert "may have gone to somebody" in possible
    assert "went to somebody" not in possible


def test_other_people_are_told_that_they_are_in_somebody_elses_data() -> None:
    told = text_of(replace(PERSON, is_granting=False, is_other=True))
    assert "You appear in somebody else's data" in told
    assert "direct messages that you wrote or received" in told


def test_nobody_known_to_have_it_is_said() -> None:
    told = text_of(replace(PERSON, received_by=()))
    assert "Nobody knows yet who has it" in told


def test_a_developer_that_has_no_name_is_called_by_its_id() -> None:
    assert "To whom: dev-z." in text_of(replace(PERSON, received_by=("dev-z",)))


def test_only_what_was_not_public_is_called_so() -> None:
    assert "not public" in text_of()
    assert "not public" not in text_of(replace(PERSON, private=False))


def test_events_of_no_known_type_are_told_all_the_same() -> None:
    assert "events of your account" in text_of(replace(PERSON, event_types=("unheard_of",)))


def test_a_title_is_one_line_and_not_too_long() -> None:
    assert subject_of(replace(ABOUT, title="One\r\nBcc: eve@e.example\n")) == "One Bcc: eve@e.example"
    assert len(subject_of(replace(ABOUT, title="x" * 500))) == SUBJECT_CHARACTERS_MAX


def test_words_that_look_like_a_template_are_only_words() -> None:
    about = replace(ABOUT, what_happened="{{ 7 * 7 }} {% if %}")
    assert "{{ 7 * 7 }} {% if %}" in text_of(about=about)


@pytest.mark.parametrize("medium", get_args(Medium))
def test_every_medium_has_its_template(medium: Medium) -> None:
    assert len(template_hash(medium)) == 64
    assert text_of(medium=medium).endswith("\n")
    assert "\n\n\n" not in text_of(medium=medium)
