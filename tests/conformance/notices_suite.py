"""What every Notices and every Obligations must do, whatever database they lie on: subclass and give ``url``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from ledger.errors import RejectedError, StoreError
from ledger.ports import Change
from ledger.ports.notices import Contact, NoticeCount, Notices, Retold
from ledger.ports.obligations import Obligations, Remark
from ledger.store import notices as notice_queries
from ledger.store import obligations as obligation_queries
from ledger.store.notices import SqlNotices
from ledger.store.obligations import SqlObligations
from ledger.store.registry import SqlRegistry
from tests.conformance.database_suite import DatabaseSuite
from tests.conformance.notice_samples import attestation, incident_notice, listed, obligation
from tests.conformance.service_samples import (
    KINDS,
    NOW_MS,
    WORDS,
    Kind,
    at_once,
    failing_commit,
    is_sorted_by_index,
    scanned,
    tag,
)

LEASE_MS = 60_000


class NoticesSuite(DatabaseSuite):
    """The properties of both ports, on the database at ``url``, whose tables are made."""

    @pytest.fixture
    def notices(self, engine: Engine) -> Notices:
        return SqlNotices(engine)

    @pytest.fixture
    def obligations(self, engine: Engine) -> Obligations:
        return SqlObligations(engine)

    def apply(self, engine: Engine, *changes: Change) -> None:
        SqlRegistry(engine).apply(changes)

    def test_a_notice_is_read_back_whole_and_put_once(self, engine: Engine, notices: Notices) -> None:
        whole = incident_notice(summary=WORDS, sent_at_ms=5, read_at_ms=6, reason="smtp.451", state="sent")
        self.apply(engine, notices.put(whole), notices.put(replace(whole, attempt=9)))
        assert notices.load("n-1") == whole
        assert notices.load("n-2") is None
        assert notices.fetch_known(["n-1", "n-2", "\0"]) == {"n-1"}

    def test_a_row_is_put_right_and_one_that_has_ended_stays(self, engine: Engine, notices: Notices) -> None:
        self.apply(engine, notices.put(incident_notice()))
        notices.put_right([])
        notices.put_right([notices.settle("n-1", "sent", NOW_MS, None), notices.put(incident_notice("n-2"))])
        notices.put_right([notices.settle("n-1", "given_up", NOW_MS + 1, "smtp.550")])
        found = [notices.load(name) for name in ("n-1", "n-2")]
        assert [None if one is None else (one.state, one.sent_at_ms) for one in found] == [
            ("sent", NOW_MS),
            ("waiting", None),
        ]

    def test_what_is_taken_is_sending_and_taken_by_nobody_else(
        self, engine: Engine, notices: Notices
    ) -> None:
        self.apply(
            engine,
            *(notices.put(incident_notice(f"n-{n}", due_at_ms=NOW_MS - n)) for n in range(3)),
            notices.put(incident_notice("later", due_at_ms=NOW_MS + 1)),
            notices.put(incident_notice("other", medium="webhook")),
        )
        first = notices.claim("email", "me", NOW_MS, LEASE_MS, 2)
        assert [(one.notice, one.attempt, one.state) for one in first] == [
            ("n-2", 1, "sending"),
            ("n-1", 1, "sending"),
        ]
        assert [one.notice for one in notices.claim("email", "you", NOW_MS, LEASE_MS, 9)] == ["n-0"]
        assert notices.claim("email", "me", NOW_MS, LEASE_MS, 9) == []

    def test_two_that_take_at_once_share_and_never_get_the_same(
        self, engine: Engine, notices: Notices
    ) -> None:
        self.apply(engine, *(notices.put(incident_notice(f"n-{n:03}")) for n in range(200)))
        taken = at_once(
            *(lambda who=who: notices.claim("email", who, NOW_MS, LEASE_MS, 50) for who in "abcd")
        )
        names = [one.notice for part in taken for one in part]
        assert len(names) == len(set(names)) > 0

    def test_what_was_certainly_not_sent_waits_again_and_the_try_does_not_count(
        self, engine: Engine, notices: Notices
    ) -> None:
        self.apply(engine, notices.put(incident_notice()))
        notices.claim("email", "me", NOW_MS, LEASE_MS, 1)
        notices.release(["n-1"], "somebody else")
        assert notices.claim("email", "me", NOW_MS, LEASE_MS, 1) == []
        notices.release(["n-1"], "me")
        assert notices.load("n-1") == incident_notice()

    def test_what_is_sending_after_its_lease_is_found_and_never_taken(
        self, engine: Engine, notices: Notices
    ) -> None:
        self.apply(engine, notices.put(incident_notice()))
        notices.claim("email", "me", NOW_MS, LEASE_MS, 1)
        assert notices.load_abandoned(NOW_MS + LEASE_MS - 1, 10) == []
        assert [one.notice for one in notices.load_abandoned(NOW_MS + LEASE_MS, 10)] == ["n-1"]
        assert notices.claim("email", "you", NOW_MS + LEASE_MS, LEASE_MS, 1) == []

    def test_what_has_ended_stays_as_it_ended(self, engine: Engine, notices: Notices) -> None:
        self.apply(engine, notices.put(incident_notice()))
        self.apply(engine, notices.settle("n-1", "sent", NOW_MS + 1, None))
        self.apply(
            engine, notices.settle("n-1", "given_up", NOW_MS + 2, "x"), notices.put_back("n-1", NOW_MS, "y")
        )
        assert notices.load("n-1") == incident_notice(state="sent", sent_at_ms=NOW_MS + 1)
        assert notices.claim("email", "me", NOW_MS, LEASE_MS, 1) == []

    def test_what_failed_waits_for_its_next_try(self, engine: Engine, notices: Notices) -> None:
        self.apply(engine, notices.put(incident_notice()))
        notices.claim("email", "me", NOW_MS, LEASE_MS, 1)
        self.apply(engine, notices.put_back("n-1", NOW_MS + 9, "smtp.451"))
        assert notices.claim("email", "me", NOW_MS + 8, LEASE_MS, 1) == []
        (again,) = notices.claim("email", "me", NOW_MS + 9, LEASE_MS, 1)
        assert (again.attempt, again.reason) == (2, "smtp.451")

    def test_an_inbox_holds_what_was_put_into_it(self, engine: Engine, notices: Notices) -> None:
        there = incident_notice("n-2", medium="inbox", state="sent")
        self.apply(
            engine,
            notices.put(there),
            notices.put(incident_notice("n-1", medium="inbox")),
            notices.put(incident_notice("n-3", medium="email", state="sent")),
            notices.put(incident_notice("n-4", medium="inbox", state="sent", account=tag("bob"))),
        )
        assert notices.load_of_account(tag("ann")) == [there]
        assert notices.load_of_account(tag("ann"), "n-2") == []
        assert [one.notice for one in notices.load_waiting_inbox(9)] == ["n-1"]
        self.apply(engine, notices.mark_read("n-2", 7), notices.mark_read("n-2", 8))
        assert notices.load("n-2") == replace(there, read_at_ms=7)

    def test_notices_are_counted_by_medium_and_state(self, engine: Engine, notices: Notices) -> None:
        self.apply(
            engine,
            notices.put(incident_notice("n-1")),
            notices.put(incident_notice("n-2", state="sent", read_at_ms=1)),
            notices.put(incident_notice("n-3", state="sent")),
            notices.put(incident_notice("n-4", incident="i-2")),
        )
        assert notices.count("i-1") == [
            NoticeCount("email", "sent", 2, 1),
            NoticeCount("email", "waiting", 1, 0),
        ]
        assert [one.notice for one in notices.load_of_incident("i-1", "n-1", 1)] == ["n-2"]

    def test_only_a_later_revision_is_told(self, engine: Engine, notices: Notices) -> None:
        self.apply(engine, notices.put(incident_notice(revision=2)))
        notices.retell([Retold("n-1", 1, "older"), Retold("gone", 3, "x")])
        assert notices.load("n-1") == incident_notice(revision=2)
        notices.retell([Retold("n-1", 3, "later")])
        assert notices.load("n-1") == incident_notice(revision=3, summary="later")

    def test_contacts_are_kept_replaced_and_forgotten(self, notices: Notices) -> None:
        mail = Contact(tag("ann"), "email", b"\x00one", 1)
        notices.put_contact(mail)
        notices.put_contact(replace(mail, sealed=b"two", updated_at_ms=2))
        notices.put_contact(Contact(tag("ann"), "webhook", b"three", 3))
        found = notices.fetch_contacts([tag("ann"), tag("bob")])
        assert [(one.medium, one.sealed) for one in found[tag("ann")]] == [
            ("email", b"two"),
            ("webhook", b"three"),
        ]
        assert list(found) == [tag("ann")]
        assert notices.forget_contact(tag("ann"), "email")
        assert not notices.forget_contact(tag("ann"), "email")

    def test_a_value_that_no_table_can_keep_is_refused(self, notices: Notices) -> None:
        with pytest.raises(RejectedError):
            notices.put(incident_notice("n" * 65))
        with pytest.raises(RejectedError):
            notices.put_contact(Contact("a\0", "email", b"", 1))

    @pytest.mark.parametrize("kind", KINDS)
    def test_taking_fails_whole_or_has_happened(self, engine: Engine, notices: Notices, kind: Kind) -> None:
        self.apply(engine, notices.put(incident_notice()))
        with failing_commit(engine, kind), pytest.raises(StoreError):
            notices.claim("email", "me", NOW_MS, LEASE_MS, 1)
        found = notices.load("n-1")
        assert found is not None
        assert found.state == ("waiting" if kind == "before" else "sending")

    def test_an_obligation_is_read_back_whole(self, engine: Engine, obligations: Obligations) -> None:
        whole = obligation(
            state="HELD",
            version=4,
            acknowledged_at_ms=1,
            reported_at_ms=2,
            attested_at_ms=3,
            attested_version=4,
            attestation="7" * 64,
            overdue=("acknowledge", "delete"),
            steps=("remind",),
            held_from="OVERDUE",
            held_since_ms=5,
            held_total_ms=6,
            contradicted_by=7,
        )
        self.apply(engine, obligations.put(whole), obligations.put(obligation(state="CLOSED")))
        assert obligations.load("o-1") == whole
        assert obligations.load("o-2") is None

    def test_obligations_are_found_by_incident_and_developer(
        self, engine: Engine, obligations: Obligations
    ) -> None:
        self.apply(
            engine,
            obligations.put(obligation("o-2", opened_at_ms=NOW_MS - 1)),
            obligations.put(obligation("o-1")),
            obligations.put(obligation("o-3", developer="dev-b")),
            obligations.put(obligation("o-4", incident="i-2", opened_at_ms=NOW_MS + 1)),
        )

        def names(incident: str | None = None, developer: str | None = None) -> list[str]:
            return [one.obligation for one in obligations.load_all(incident, developer)]

        assert names() == ["o-2", "o-1", "o-3", "o-4"]
        assert names("i-1") == ["o-2", "o-1", "o-3"]
        assert names(None, "dev-a") == ["o-2", "o-1", "o-4"]
        assert names("i-2", "dev-a") == ["o-4"]

    def test_it_moves_by_one_version_and_never_past_somebody_else(
        self, engine: Engine, obligations: Obligations
    ) -> None:
        self.apply(engine, obligations.put(obligation()))
        first = obligation(state="NOTIFIED", version=1)
        self.apply(engine, obligations.move(first), obligations.move(obligation(state="HELD", version=1)))
        assert obligations.load("o-1") == first
        self.apply(engine, obligations.move(obligation(state="CLOSED", version=3)))
        assert obligations.load("o-1") == first
        moved = replace(first, state="OVERDUE", version=2, overdue=("acknowledge",))
        self.apply(engine, obligations.move(moved))
        assert obligations.load("o-1") == moved

    def test_a_list_is_kept_in_order_and_found_by_delivery_and_account(
        self, engine: Engine, obligations: Obligations
    ) -> None:
        lines = [listed(place, account="ann" if place % 2 else "bob") for place in range(5)]
        obligations.put_lines("o-1", lines)
        obligations.put_lines("o-1", [listed(2, "another")])
        assert list(obligations.stream_lines("o-1")) == lines
        assert obligations.load_lines("o-1", 3, 1) == [lines[3]]
        assert obligations.find_lines("d-3") == [("o-1", lines[3])]
        assert [line.place for _, line in obligations.find_lines_of(tag("bob"))] == [0, 2, 4]

    def test_only_the_list_of_what_was_never_opened_is_dropped(
        self, engine: Engine, obligations: Obligations
    ) -> None:
        obligations.put_lines("o-1", [listed()])
        obligations.put_lines("o-2", [listed()])
        self.apply(engine, obligations.put(obligation("o-1")))
        obligations.drop_lines("o-1")
        obligations.drop_lines("o-2")
        assert obligations.load_lines("o-1") == [listed()]
        assert obligations.load_lines("o-2") == []

    def test_attestations_and_remarks_are_read_back(self, engine: Engine, obligations: Obligations) -> None:
        remarks = [Remark("o-1", 1, b"\x00one"), Remark("o-1", 2, b"two")]
        self.apply(
            engine,
            obligations.put_attestation(attestation()),
            obligations.put_attestation(attestation(claims="other")),
            *(obligations.put_remark(one) for one in reversed(remarks)),
        )
        assert obligations.load_attestation(attestation().attestation) == attestation()
        assert obligations.load_attestation("8" * 64) is None
        assert obligations.load_remarks("o-1") == remarks

    def test_a_cursor_never_goes_back(self, obligations: Obligations) -> None:
        assert obligations.load_cursor("reader") == 0
        obligations.move_cursor("reader", 9)
        obligations.move_cursor("reader", 4)
        assert obligations.load_cursor("reader") == 9

    def test_no_query_reads_a_table_from_end_to_end(self, filled: Engine) -> None:
        some = {"count_max": 5, "after": "v1", "now_ms": 50}
        asked = {"incident": "v7", "account": "v7", "obligation": "v7", "delivery": "v7", "developer": "v7"}
        notices = SqlNotices(filled)
        for statement in (
            notice_queries.LOAD_OF_ACCOUNT,
            notice_queries.LOAD_OF_INCIDENT,
            notice_queries.COUNT,
            notice_queries.LOAD_WAITING,
            notice_queries.LOAD_ABANDONED,
            obligation_queries.LOAD_OF_INCIDENT,
            obligation_queries.LOAD_OF_DEVELOPER,
            obligation_queries.FIND_LINES,
            obligation_queries.FIND_LINES_OF,
        ):
            needed = statement.compile().params
            values = {name: (some | asked)[name] for name in needed}
            assert scanned(filled, statement, **values) == [], statement.text
        assert scanned(filled, notices.known, notices='["v1"]') == []
        assert scanned(filled, notices.contacts, accounts='["v1"]') == []
        assert is_sorted_by_index(
            filled, notice_queries.LOAD_OF_INCIDENT, incident="v7", after="v1", count_max=5
        )
        assert is_sorted_by_index(filled, notice_queries.LOAD_WAITING, count_max=5)
