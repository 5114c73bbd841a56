"""Every code that can be the primary one of a delivery, each reached by the shortest story that leads to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.core.judgement import Judgement
from ledger.core.verdicts import CODES
from tests.support.builders import DM, POST, Log, seen, tag

Story = Callable[[Log], Judgement]

SPKI_A, SPKI_B = "a" * 64, "b" * 64
STORIES: dict[str, tuple[str, str, str, Story]] = {}


def story(name: str, verdict: str, code: str, severity: str) -> Callable[[Story], Story]:
    """Enter a story under its name, with what it must come to."""

    def enter(tell: Story) -> Story:
        assert name not in STORIES
        STORIES[name] = (verdict, code, severity, tell)
        return tell

    return enter


def start() -> Log:
    """Two developers whose endpoints are verified, and ann's grant to dev-a from 100 to 1000."""
    log = Log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-a", spki_sha256=SPKI_A)
    log.add("endpoint.verified", 1, endpoint="wh-b", spki_sha256=SPKI_B)
    log.issue("g", at=100, expires_at=1_000)
    return log


def sent(log: Log, at: int = 150, **members: object) -> Judgement:
    """The judgement of an attempt that settles at once."""
    attempted = log.attempt(at=at, **members)  # type: ignore[arg-type]
    return log.judge(attempted, log.settle(attempted))


@story("data of an account that granted it to somebody else", "UNAUTHORIZED", "WRONG_DEVELOPER", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(endpoint="wh-b"))


@story("observed at another developer's endpoint", "UNAUTHORIZED", "WRONG_DEVELOPER", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(observed=seen("b.example")))


@story("another developer's endpoint while the account is suspended", "UNAUTHORIZED", "WRONG_DEVELOPER", "X")
def _(log: Log) -> Judgement:
    log.add("account.suspended", 120, account=tag("ann"))
    return log.judge(log.imported(endpoint="wh-b"))


@story("never granted anything to anybody", "UNAUTHORIZED", "NO_GRANT", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(account="bob"))


@story("granted to another developer, but not any more", "UNAUTHORIZED", "NO_GRANT", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(at=1_000, endpoint="wh-b"))


@story("granted to another developer, and the account is deleted", "UNAUTHORIZED", "NO_GRANT", "X")
def _(log: Log) -> Judgement:
    log.add("account.deleted", 120, account=tag("ann"))
    return log.judge(log.imported(endpoint="wh-b"))


@story("granted to another app of the developer", "UNAUTHORIZED", "WRONG_APP", "X")
def _(log: Log) -> Judgement:
    log.app("app-a2", "dev-a")
    log.endpoint("wh-a2", "app-a2", "https://a2.example/hook")
    return log.judge(log.imported(endpoint="wh-a2"))


@story("granted for another environment", "UNAUTHORIZED", "WRONG_ENVIRONMENT", "X")
def _(log: Log) -> Judgement:
    log.endpoint("wh-a2", "app-a", "https://a2.example/hook", "staging")
    return log.judge(log.imported(endpoint="wh-a2"))


@story("the endpoint moved to another developer's app", "UNAUTHORIZED", "ENDPOINT_NOT_OWNED", "X")
def _(log: Log) -> Judgement:
    log.add("endpoint.transferred", 120, endpoint="wh-a", app="app-b")
    return sent(log)


@story("observed at another app of the intended developer", "UNAUTHORIZED", "ENDPOINT_NOT_OWNED", "X")
def _(log: Log) -> Judgement:
    log.app("app-a2", "dev-a")
    log.endpoint("wh-a2", "app-a2", "https://a2.example/hook")
    return log.judge(log.imported(observed=seen("a2.example")))


@story("observed at another endpoint of the granted app", "AUTHORIZED", "DESTINATION_MISMATCH", "P")
def _(log: Log) -> Judgement:
    log.endpoint("wh-a2", "app-a", "https://a2.example/hook")
    return log.judge(log.imported(observed=seen("a2.example")))


@story("observed where nobody is", "UNAUTHORIZED", "ENDPOINT_UNKNOWN", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(observed=seen("c.example")))


@story("meant for an endpoint that was never registered", "UNAUTHORIZED", "ENDPOINT_UNKNOWN", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(endpoint="wh-9"))


@story("meant for a retired endpoint", "UNAUTHORIZED", "ENDPOINT_UNKNOWN", "X")
def _(log: Log) -> Judgement:
    log.add("endpoint.retired", 150, endpoint="wh-a")
    return log.judge(log.imported())


@story("the app went to another developer", "UNAUTHORIZED", "DEVELOPER_CHANGED_BY_TRANSFER", "X")
def _(log: Log) -> Judgement:
    log.add("app.transferred", 120, app="app-a", developer="dev-b")
    return log.judge(log.imported())


@story("delivered before the grant", "UNAUTHORIZED", "DELIVERED_BEFORE_GRANT", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(at=99))


@story("delivered after the revocation", "UNAUTHORIZED", "DELIVERED_AFTER_REVOCATION", "X")
def _(log: Log) -> Judgement:
    log.revoke(at=150)
    return log.judge(log.imported())


@story("delivered after a revocation that was dated back", "VOIDED_LATER", "DELIVERED_AFTER_REVOCATION", "X")
def _(log: Log) -> Judgement:
    attempted = log.attempt(at=150)
    settled = log.settle(attempted)
    log.revoke(at=140, via="api", recorded_at=160)
    return log.judge(attempted, settled)


@story("delivered to whom the grant was amended away from", "UNAUTHORIZED", "DELIVERED_AFTER_REVOCATION", "X")
def _(log: Log) -> Judgement:
    log.amend(at=150, developer="dev-c", scopes=["likes"])
    return log.judge(log.imported())


@story("sent although the revocation was known", "UNAUTHORIZED", "KNOWING_DELIVERY_AFTER_REVOCATION", "X")
def _(log: Log) -> Judgement:
    log.revoke(at=120)
    return sent(log, attempt=2, replay="r")


@story("a replay after the revocation", "VOIDED_LATER", "REPLAY_AFTER_REVOCATION", "X")
def _(log: Log) -> Judgement:
    attempted = log.attempt(at=150, replay="r", attempt=2)
    settled = log.settle(attempted)
    log.revoke(at=120, recorded_at=200, via="api")
    return log.judge(attempted, settled)


@story("a retry after the revocation", "UNAUTHORIZED", "RETRY_AFTER_REVOCATION", "X")
def _(log: Log) -> Judgement:
    log.revoke(at=120)
    return log.judge(log.imported(attempt=2))


@story("delivered at the instant of expiry", "UNAUTHORIZED", "DELIVERED_AFTER_EXPIRY", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(at=1_000))


@story("revoked and expired at one instant", "UNAUTHORIZED", "DELIVERED_AFTER_EXPIRY", "X")
def _(log: Log) -> Judgement:
    log.revoke(at=1_000)
    return log.judge(log.imported(at=1_000))


@story("delivered while the grant was suspended", "UNAUTHORIZED", "GRANT_SUSPENDED", "X")
def _(log: Log) -> Judgement:
    log.add("grant.suspended", 120, grant="g")
    return log.judge(log.imported())


@story("delivered about a suspended account", "UNAUTHORIZED", "ACCOUNT_NOT_ACTIVE", "X")
def _(log: Log) -> Judgement:
    log.add("account.suspended", 120, account=tag("ann"))
    return log.judge(log.imported())


@story("delivered about a deleted account", "UNAUTHORIZED", "ACCOUNT_NOT_ACTIVE", "X")
def _(log: Log) -> Judgement:
    log.add("account.deleted", 120, account=tag("ann"))
    return log.judge(log.imported())


@story("delivered to a suspended app", "UNAUTHORIZED", "APP_OR_DEVELOPER_SUSPENDED", "X")
def _(log: Log) -> Judgement:
    log.add("app.suspended", 120, app="app-a")
    return log.judge(log.imported())


@story("delivered to a suspended developer", "UNAUTHORIZED", "APP_OR_DEVELOPER_SUSPENDED", "X")
def _(log: Log) -> Judgement:
    log.add("developer.suspended", 120, developer="dev-a")
    log.add("account.suspended", 120, account=tag("ann"))
    return log.judge(log.imported())


@story("revoked between the attempt and its first byte", "VOIDED_LATER", "IN_FLIGHT", "A")
def _(log: Log) -> Judgement:
    attempted = log.attempt(at=150)
    log.revoke(at=150, via="api")
    return log.judge(attempted, log.settle(attempted, 160))


@story("decided on another state than the one before it", "VOIDED_LATER", "STALE_DECISION", "I")
def _(log: Log) -> Judgement:
    log.revoke(at=120)
    return sent(log, decided_at_size=log.size - 1)


@story("a type of data that was never granted", "UNAUTHORIZED", "SCOPE_EXCEEDED", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(event_type=DM))


@story("a type of data that is granted no longer", "UNAUTHORIZED", "SCOPE_NARROWED", "X")
def _(log: Log) -> Judgement:
    log.amend(at=120, scopes=["likes"])
    return log.judge(log.imported(event_type=POST))


@story("a type of data that nobody mapped", "UNAUTHORIZED", "EVENT_TYPE_UNMAPPED", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(event_type="poll_events"))


@story("under a grant that was declared void", "UNAUTHORIZED", "GRANT_INVALIDATED", "X")
def _(log: Log) -> Judgement:
    log.add("grant.invalidated", 900, grant="g")
    return log.judge(log.imported())


@story("under a grant that was recorded afterwards", "COVERED_RETROACTIVELY", "GRANT_BACKDATED", "X")
def _(log: Log) -> Judgement:
    attempted = log.attempt(account="bob")
    settled = log.settle(attempted)
    log.issue("g-2", at=100, account="bob")
    return log.judge(attempted, settled)


@story("a settlement with other people than its attempt", "AUTHORIZED", "ENTRY_MALFORMED", "I")
def _(log: Log) -> Judgement:
    attempted = log.attempt()
    return log.judge(attempted, log.settle(attempted, subjects=[tag("bob")]))


@story("a settlement that claims another receiver", "UNAUTHORIZED", "RECEIVED_BY_MISMATCH", "I")
def _(log: Log) -> Judgement:
    attempted = log.attempt()
    claimed = {"developer": "dev-a", "app": "app-a", "environment": "prod", "endpoint": "wh-a"}
    settled = log.settle(attempted, observed=seen("b.example"), received_by=claimed, forced=True)
    return log.judge(attempted, settled)


@story("a receiver that later history made another", "AUTHORIZED", "RECEIVED_BY_MISMATCH", "P")
def _(log: Log) -> Judgement:
    told = log.imported(at=150)
    log.add("endpoint.transferred", 120, endpoint="wh-a", app="app-b")
    log.issue("g-2", at=100, developer="dev-b", app="app-b")
    return log.judge(told)


@story("settled without any attempt", "INDETERMINATE", "SENT_WITHOUT_ATTEMPT", "P")
def _(log: Log) -> Judgement:
    elsewhere = Log().attempt()
    return log.judge(log.settle(elsewhere))


@story("an attempt that nobody settled", "INDETERMINATE", "ATTEMPT_UNSETTLED", "P")
def _(log: Log) -> Judgement:
    return log.judge(log.attempt(at=150), ledger_time=60_150)


@story("a replay that nobody asked for", "AUTHORIZED", "REPLAY_UNREQUESTED", "P")
def _(log: Log) -> Judgement:
    return sent(log, replay="r")


@story("sent to an endpoint that never passed a challenge", "AUTHORIZED", "ENDPOINT_UNVERIFIED", "P")
def _(log: Log) -> Judgement:
    log.endpoint("wh-a2", "app-a", "https://a2.example/hook")
    attempted = log.attempt(endpoint="wh-a2")
    return log.judge(attempted, log.settle(attempted, observed=seen("a2.example")))


@story("an import through the API without a ticket", "AUTHORIZED", "UNTICKETED", "P")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(via="api"))


@story("an import without the ticket that is demanded", "AUTHORIZED", "UNTICKETED", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(via="api"), require_tickets=True)


@story("a Host header that is not the TLS name", "AUTHORIZED", "SNI_MISMATCH", "P")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(observed=seen(host="b.example", sni="a.example")))


@story("sent twice", "AUTHORIZED", "DUPLICATE_DELIVERY", "A")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(), is_duplicate=True)


@story("another developer's key ended the connection", "AUTHORIZED", "PEER_KEY_MISMATCH", "X")
def _(log: Log) -> Judgement:
    attempted = log.attempt()
    return log.judge(attempted, log.settle(attempted, observed=seen(spki_sha256=SPKI_B)))


@story("a canary that was seen outside", "AUTHORIZED", "CANARY_LEAKED", "X")
def _(log: Log) -> Judgement:
    return log.judge(log.imported(), raised=("CANARY_LEAKED",))


@pytest.mark.parametrize("name", STORIES)
def test_the_story_comes_to_its_verdict_primary_code_and_severity(name: str) -> None:
    verdict, code, severity, tell = STORIES[name]
    judged = tell(start())
    assert (judged.verdict, judged.code, judged.severity) == (verdict, code, severity)
    assert judged.code in judged.codes


def test_a_story_is_told_of_every_recipient_time_and_content_code() -> None:
    families = ("recipient", "time", "content")
    told = {code for _, code, _, _ in STORIES.values()}
    assert {row.code for row in CODES.values() if row.family in families} <= told


@pytest.mark.parametrize("name", [name for name, told in STORIES.items() if told[2] == "X"])
def test_without_disclosure_verdict_and_code_stay_and_nobody_is_affected(name: str) -> None:
    verdict, code, _, tell = STORIES[name]
    undisclosed = _Undisclosed()
    undisclosed.parties()
    undisclosed.add("endpoint.verified", 1, endpoint="wh-a", spki_sha256=SPKI_A)
    undisclosed.add("endpoint.verified", 1, endpoint="wh-b", spki_sha256=SPKI_B)
    undisclosed.issue("g", at=100, expires_at=1_000)
    judged = tell(undisclosed)
    assert (judged.verdict, judged.code, judged.severity) == (verdict, code, "P")
    assert judged.exposure is None


class _Undisclosed(Log):
    """A log in which no body byte ever left."""

    def add(self, kind: str, at: int, **members: object) -> object:
        if "disclosure" in members:
            members["disclosure"] = "none"
        return super().add(kind, at, **members)  # type: ignore[arg-type]
