"""Awareness and deadlines as a function of entries (section 5.1)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ledger.core.incident_clock import CLOCK_KINDS, IncidentClocks

HOUR = 3_600_000
DAY = 24 * HOUR
T0 = 1_536_537_600_000


class Log:
    """Entries one after the other, recorded at the instants that the test says."""

    def __init__(self) -> None:
        self.clocks = IncidentClocks()
        self.seq = 0

    def add(self, kind: str, recorded_at: int, at: int | None = None, **members: Any) -> None:
        defaults = {"policy.set": {"jurisdiction": None}, "notice.given_up": {"reason": None}}.get(kind, {})
        entry = SimpleNamespace(
            kind=kind, seq=self.seq, recorded_at=recorded_at, at=recorded_at if at is None else at,
            **({"incident": "i-1"} | defaults | members),
        )  # fmt: skip
        self.clocks.add(entry)
        self.seq += 1

    def policy(self, policy: str, period: int, jurisdiction: str | None, recorded_at: int = T0 - DAY) -> None:
        self.add("policy.set", recorded_at, policy=policy, period_ms=period, jurisdiction=jurisdiction)

    def assess(
        self,
        recorded_at: int,
        people: int | None,
        definite: int = 1,
        revision: int = 1,
        new: int | None = None,
    ) -> None:
        self.add(
            "incident.assessed", recorded_at, revision=revision, people=people, accounts_definite=definite,
            accounts_possible=0, others_definite=0, others_possible=0, people_new=new,
        )  # fmt: skip

    def overdue(self, as_of: int) -> list[str]:
        return [one.code for one in self.clocks.overdue(as_of)]


@pytest.fixture
def log() -> Log:
    made = Log()
    made.policy("authority_notice", 72 * HOUR, "gdpr")
    made.add("incident.opened", T0)
    return made


def claim(log: Log, moment: str, at: int, recorded_at: int = T0 + DAY) -> None:
    log.add("incident.moment_claimed", recorded_at, at, moment=moment)


def tell(log: Log, at: int, recorded_at: int | None = None, jurisdiction: str = "gdpr") -> None:
    recorded = at if recorded_at is None else recorded_at
    log.add("incident.authority_notified", recorded, at, jurisdiction=jurisdiction, notification="first")


def test_the_earliest_defensible_moment_starts_the_clock(log: Log) -> None:
    claim(log, "first_report", T0 + 1)
    claim(log, "triage", T0 + 2)
    claim(log, "dpo_told", T0 + 5)
    claim(log, "reasonable_certainty", T0 + 4)
    aware = log.clocks.awareness("i-1")
    assert aware is not None
    assert (aware.moment, aware.at_ms) == ("reasonable_certainty", T0 + 4)
    assert [one.at_ms for one in log.clocks.candidates("i-1")] == [T0 + 1, T0 + 2, T0 + 4, T0 + 5]


def test_a_report_and_a_triage_alone_are_no_awareness(log: Log) -> None:
    claim(log, "first_report", T0 + 1)
    claim(log, "triage", T0 + 2)
    assert log.clocks.awareness("i-1") is None
    assert log.overdue(T0 + 99 * DAY) == []


def test_an_assessment_with_a_definite_exposure_is_certainty_whatever_is_claimed(log: Log) -> None:
    log.assess(T0 + HOUR, people=1)
    claim(log, "reasonable_certainty", T0 + 9 * DAY, recorded_at=T0 + 9 * DAY)
    aware = log.clocks.awareness("i-1")
    assert aware is not None
    assert (aware.at_ms, aware.is_claimed) == (T0 + HOUR, False)


def test_an_assessment_of_what_is_only_possible_is_no_certainty(log: Log) -> None:
    log.assess(T0 + HOUR, people=1, definite=0)
    assert log.clocks.awareness("i-1") is None


def test_a_claim_cannot_be_later_than_its_entry(log: Log) -> None:
    claim(log, "dpo_told", T0 + 9 * DAY, recorded_at=T0 + DAY)
    aware = log.clocks.awareness("i-1")
    assert aware is not None
    assert aware.at_ms == T0 + DAY


def test_a_deadline_is_met_at_its_last_instant_and_missed_after_it(log: Log) -> None:
    claim(log, "dpo_told", T0)
    due = T0 + 72 * HOUR
    assert log.overdue(due) == []
    assert log.overdue(due + 1) == ["AUTHORITY_NOTICE_OVERDUE"]
    tell(log, due)
    assert log.overdue(due + 99 * DAY) == []


def test_what_is_done_late_stays_overdue(log: Log) -> None:
    claim(log, "dpo_told", T0)
    tell(log, T0 + 72 * HOUR + 1)
    assert log.overdue(T0 + 99 * DAY) == ["AUTHORITY_NOTICE_OVERDUE"]


def test_another_authority_told_does_not_help(log: Log) -> None:
    claim(log, "dpo_told", T0)
    tell(log, T0 + HOUR, jurisdiction="california")
    assert log.overdue(T0 + 4 * DAY) == ["AUTHORITY_NOTICE_OVERDUE"]


def test_a_period_that_is_set_later_does_not_move_a_deadline_that_has_begun(log: Log) -> None:
    claim(log, "dpo_told", T0)
    log.policy("authority_notice", 9_999 * DAY, "gdpr", recorded_at=T0 + DAY)
    assert log.overdue(T0 + 4 * DAY) == ["AUTHORITY_NOTICE_OVERDUE"]


def test_a_period_cannot_be_dated_back(log: Log) -> None:
    claim(log, "dpo_told", T0)
    log.add(
        "policy.set",
        T0 + DAY,
        T0 - 9 * DAY,
        policy="authority_notice",
        period_ms=9_999 * DAY,
        jurisdiction="gdpr",
    )
    assert log.overdue(T0 + 4 * DAY) == ["AUTHORITY_NOTICE_OVERDUE"]


def test_the_first_period_that_comes_after_counts_where_none_was_in_force() -> None:
    log = Log()
    log.add("incident.opened", T0)
    claim(log, "dpo_told", T0)
    log.policy("authority_notice", HOUR, "gdpr", recorded_at=T0 + DAY)
    log.policy("authority_notice", 9 * DAY, "gdpr", recorded_at=T0 + 2 * DAY)
    assert [one.due_at_ms for one in log.clocks.deadlines("i-1")] == [T0 + HOUR]


def test_without_a_policy_there_is_no_deadline() -> None:
    log = Log()
    log.add("incident.opened", T0)
    claim(log, "dpo_told", T0)
    assert log.clocks.deadlines("i-1") == []


def test_a_decision_in_time_ends_the_duty_and_one_too_late_does_not(log: Log) -> None:
    claim(log, "dpo_told", T0)
    log.add("incident.decided", T0 + 72 * HOUR, decision="no_authority_notice.gdpr")
    assert log.overdue(T0 + 9 * DAY) == []
    other = Log()
    other.policy("authority_notice", HOUR, "gdpr")
    other.add("incident.opened", T0)
    claim(other, "dpo_told", T0)
    other.add("incident.decided", T0 + 2 * HOUR, decision="no_authority_notice.gdpr")
    assert other.overdue(T0 + 9 * DAY) == ["AUTHORITY_NOTICE_OVERDUE"]


def people_log(people: int | None) -> Log:
    log = Log()
    log.policy("people_notice", 30 * DAY, "california")
    log.policy("authority_copy", 15 * DAY, "california")
    log.add("incident.opened", T0)
    log.assess(T0, people)
    return log


def test_everybody_has_to_be_told_not_nearly_everybody() -> None:
    log = people_log(2)
    log.add("notice.sent", T0 + DAY, account="a_1")
    log.add("notice.read", T0 + DAY, account="a_1")
    assert log.overdue(T0 + 31 * DAY) == ["ACCOUNT_NOTICE_OVERDUE"]
    log.add("notice.sent", T0 + 2 * DAY, account="a_2")
    assert log.overdue(T0 + 17 * DAY) == []


def test_somebody_who_is_gone_is_owed_nothing_and_somebody_not_reached_is() -> None:
    log = people_log(1)
    log.add("subject.erased", T0, account="a_1")
    log.add("notice.given_up", T0 + DAY, account="a_1", reason="bounced")
    assert log.overdue(T0 + 31 * DAY) == ["ACCOUNT_NOTICE_OVERDUE"]
    log.add("notice.given_up", T0 + DAY, account="a_1", reason="erased")
    assert "ACCOUNT_NOTICE_OVERDUE" not in log.overdue(T0 + 31 * DAY)


def test_somebody_who_is_only_said_to_be_erased_is_still_to_be_told() -> None:
    log = people_log(1)
    log.add("notice.given_up", T0 + DAY, account="a_1", reason="erased")
    log.add("subject.erased", T0 + 2 * DAY, account="a_1")
    assert log.overdue(T0 + 31 * DAY) == ["ACCOUNT_NOTICE_OVERDUE"]


def test_as_many_others_are_not_the_same_people() -> None:
    log = people_log(2)
    log.add("notice.sent", T0 + DAY, account="a_1")
    log.add("notice.sent", T0 + DAY, account="a_2")
    # One of them was a mistake, somebody else was found.
    log.assess(T0 + 2 * DAY, 2, revision=2, new=1)
    assert [(one.revision, one.done_at_ms) for one in log.clocks.deadlines("i-1")] == [
        (1, T0 + DAY),
        (2, None),
    ]
    assert "ACCOUNT_NOTICE_OVERDUE" in log.overdue(T0 + 33 * DAY)
    log.add("notice.sent", T0 + 3 * DAY, account="a_3")
    assert "ACCOUNT_NOTICE_OVERDUE" not in log.overdue(T0 + 33 * DAY)


def test_the_new_ones_have_to_be_told_not_as_many_as_there_are_now() -> None:
    log = people_log(3)
    for number in (1, 2, 3):
        log.add("notice.sent", T0 + DAY, account=f"a_{number}")
    # The first one has dropped out, two have come: everybody together is five.
    log.assess(T0 + 2 * DAY, 4, revision=2, new=2)
    log.add("notice.sent", T0 + 3 * DAY, account="a_4")
    assert "ACCOUNT_NOTICE_OVERDUE" in log.overdue(T0 + 33 * DAY)


def test_people_found_later_are_to_be_told_from_then_on() -> None:
    log = people_log(1)
    log.add("notice.sent", T0 + DAY, account="a_1")
    log.assess(T0 + 60 * DAY, 2, revision=2)
    assert "ACCOUNT_NOTICE_OVERDUE" not in log.overdue(T0 + 89 * DAY)
    assert "ACCOUNT_NOTICE_OVERDUE" in log.overdue(T0 + 91 * DAY)


def test_the_authoritys_copy_is_due_once_people_were_told() -> None:
    log = people_log(1)
    assert [one.policy for one in log.clocks.deadlines("i-1")] == ["people_notice"]
    log.add("notice.sent", T0 + DAY, account="a_1")
    assert log.overdue(T0 + 17 * DAY) == ["AUTHORITY_NOTICE_OVERDUE"]
    tell(log, T0 + 2 * DAY, jurisdiction="california")
    assert log.overdue(T0 + 17 * DAY) == []


def test_an_assessment_that_counts_nobody_altogether_is_read_by_its_parts() -> None:
    log = people_log(None)
    log.add("notice.sent", T0 + DAY, account="a_1")
    assert "ACCOUNT_NOTICE_OVERDUE" not in log.overdue(T0 + 31 * DAY)


def test_entries_of_an_incident_that_was_never_opened_start_nothing() -> None:
    log = Log()
    log.policy("authority_notice", HOUR, "gdpr")
    claim(log, "dpo_told", T0)
    assert log.overdue(T0 + 9 * DAY) == []


def test_every_other_kind_is_passed_over(log: Log) -> None:
    log.add("delivery.imported", T0)
    assert "delivery.imported" not in CLOCK_KINDS


def test_a_policy_that_holds_everywhere_is_met_and_waived_without_a_jurisdiction() -> None:
    log = Log()
    log.policy("authority_notice", HOUR, None)
    log.add("incident.opened", T0)
    claim(log, "dpo_told", T0)
    assert log.overdue(T0 + DAY) == ["AUTHORITY_NOTICE_OVERDUE"]
    log.add("incident.decided", T0 + HOUR, decision="no_authority_notice")
    assert log.overdue(T0 + DAY) == []
