"""What an account has granted and not taken back (verdict rules, section 2.1)."""

from __future__ import annotations

import pytest

from ledger.core.folding import OPEN_END_MS
from ledger.core.granted import find_granted, list_granted
from tests.support.builders import Log, tag


@pytest.fixture
def log() -> Log:
    made = Log()
    made.parties()
    return made


def names(log: Log, at: int, account: str = "ann") -> list[str]:
    return [one.grant for one in list_granted(log.history, tag(account), at)]


def test_a_grant_is_told_with_its_parties_and_the_version_of_then(log: Log) -> None:
    log.issue(at=100, scopes=("posts", "likes"))
    log.amend(at=200, scopes=["posts"])
    before, after = (find_granted(log.history, "g", at) for at in (199, 200))
    assert before is not None
    assert after is not None
    assert (before.scopes, after.scopes) == (("posts", "likes"), ("posts",))
    assert before[:5] == ("g", tag("ann"), "dev-a", "app-a", "prod")
    assert (after.began_at_ms, after.died_ms, after.is_dead) == (100, OPEN_END_MS, False)


def test_a_grant_that_was_never_issued_is_none(log: Log) -> None:
    assert find_granted(log.history, "g", 100) is None
    assert names(log, 100) == []


def test_a_revoked_grant_is_dead_from_then_on_and_no_longer_listed(log: Log) -> None:
    log.issue(at=100)
    log.revoke(at=200)
    found = find_granted(log.history, "g", 300)
    assert found is not None
    assert (found.is_dead, found.died_ms) == (True, 200)
    assert (names(log, 199), names(log, 200)) == (["g"], [])


def test_an_expired_grant_is_dead(log: Log) -> None:
    log.issue(at=100, expires_at=200)
    assert (names(log, 199), names(log, 200)) == (["g"], [])


def test_an_invalidated_grant_is_dead(log: Log) -> None:
    log.issue(at=100)
    log.add("grant.invalidated", 200, grant="g")
    assert names(log, 200) == []


def test_a_deleted_account_has_granted_nothing(log: Log) -> None:
    log.issue(at=100)
    log.add("account.deleted", 200, account=tag("ann"))
    assert names(log, 200) == []


def test_a_suspended_grant_stands_because_it_may_be_resumed(log: Log) -> None:
    log.issue(at=100)
    log.add("grant.suspended", 200, grant="g")
    assert names(log, 250) == ["g"]


def test_a_grant_that_begins_later_stands_with_what_it_will_cover(log: Log) -> None:
    log.issue(at=500, scopes=("likes",))
    (found,) = list_granted(log.history, tag("ann"), 100)
    assert (found.began_at_ms, found.scopes) == (500, ("likes",))


def test_grants_come_by_their_beginning_and_only_the_accounts_own(log: Log) -> None:
    log.issue("g-2", at=200)
    log.issue("g-1", at=100)
    log.issue("g-3", at=50, account="bob")
    assert names(log, 300) == ["g-1", "g-2"]


def test_after_a_change_of_the_developer_the_new_one_is_told(log: Log) -> None:
    log.issue(at=100)
    log.amend(at=200, developer="dev-b")
    found = find_granted(log.history, "g", 200)
    assert found is not None
    assert found.developer == "dev-b"
