"""Lies about what happened, told in a ledger that is whole: the operator records what was not, or leaves out what was.

What really happened is with the place: who received a body, what the proxy counted. Each lie stays in the ledger, and gives
back what the verifier, and the monitor that follows, find more than before as soon as it is sealed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ledger.ports.permit import Permit, Refused
from tests.lies.kept import Body, Grant
from tests.lies.place import DEVELOPERS, MINUTE_MS, Place, host_of

Found = Counter[str]
Choose = Callable[[int], int]

HUGE_BYTES = 2_000_000
"""A body so large that no allowance for handshakes and headers hides it."""


def other(developer: str) -> str:
    """The other developer."""
    return DEVELOPERS[1 - DEVELOPERS.index(developer)]


def lone_grant(place: Place, choose: Choose) -> Grant:
    """A grant of an account that has granted nothing to anybody else: its first."""
    person = place.new_name("lone")
    return place.grant(person, DEVELOPERS[choose(2)])


def _permit(place: Place, grant: Grant, body_bytes: int = 512) -> Permit:
    permit = place.request(grant, body_bytes=body_bytes)
    assert isinstance(permit, Permit), permit
    return permit


def misdelivered(place: Place, choose: Choose) -> Found:
    """The fault of 2018: it went to another developer, as was observed."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    place.arrive(permit, other(grant.developer))
    place.settle(permit, grant, host_of(other(grant.developer)))
    return Counter(WRONG_DEVELOPER=1)


def another_connection(place: Place, choose: Choose) -> Found:
    """The Host header was right, the connection another's."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    place.arrive(permit, other(grant.developer))
    seen = {
        "host": host_of(grant.developer),
        "sni": host_of(other(grant.developer)),
        "port": 443,
        "path": "/hook",
    }
    place.settle(permit, grant, None, observed=seen)
    return Counter(WRONG_DEVELOPER=1)


def false_observation(place: Place, choose: Choose) -> Found:
    """It went to another developer, and the observation was made up. Who got it says so."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    body = place.arrive(permit, other(grant.developer))
    place.settle(permit, grant, host_of(grant.developer))
    place.receipt(body)
    # The proxy finds no request missing where others pass to the same name; who received it does.
    place.count(host_of(grant.developer), 1_500)
    return Counter(RECEIPT_WITHOUT_DELIVERY=1)


def no_observation(place: Place, choose: Choose) -> Found:
    """It went to another developer, and nothing is said of where it was seen. Who got it says so."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    body = place.arrive(permit, other(grant.developer))
    place.settle(permit, grant, None)
    place.receipt(body)
    place.count(host_of(grant.developer), 1_500)
    return Counter(RECEIPT_WITHOUT_DELIVERY=1)


def never_recorded(place: Place, choose: Choose) -> Found:
    """A body was sent, and is in no entry: its developer has a receipt for it."""
    developer = DEVELOPERS[choose(2)]
    place.count(host_of(developer), 1_500)
    headers = {"host": host_of(developer), "webhook-id": place.new_name("unlogged")}
    body = Body(headers["webhook-id"], developer, NO_PERMIT, headers, place.clock.ms)
    place.receipt(body)
    return Counter(RECEIPT_WITHOUT_DELIVERY=1)


NO_PERMIT = Permit(0, b"", "", 1, "", "", 0, "", "", "", "", 0.0)


def never_recorded_and_counted(place: Place, choose: Choose) -> Found:
    """A large body was sent, and is in no entry: the proxy counted it."""
    place.count(host_of(DEVELOPERS[choose(2)]), HUGE_BYTES)
    return _close(place, 1)


def sent_elsewhere(place: Place, choose: Choose) -> Found:
    """Something was sent to a server that the log knows nothing of: the proxy counted it."""
    place.count(f"elsewhere-{choose(3)}.example", 2_000)
    return _close(place, 1)


def _close(place: Place, found: int) -> Found:
    """The hour goes by, and the proxy hands in what it counted; honest hours before it are in it, too."""
    place.pass_time(60)
    place.close_hours()
    return Counter(EGRESS_COUNT_MISMATCH=found)


def around_the_proxy(place: Place, choose: Choose) -> Found:
    """A delivery is recorded that the proxy never saw."""
    place.pass_time(60)
    place.close_hours()
    grant = lone_grant(place, choose)
    permit = _permit(place, grant, 1_048_576)
    place.settle(permit, grant, host_of(grant.developer))
    return _close(place, 1)


def count_held_back(place: Place, choose: Choose) -> Found:
    """One of the proxy's counts does not get into the log; the sum that closes the hour does."""
    place.count(f"held-{choose(3)}.example", 1)
    place.pass_time(60)
    place.close_hours(held_back="held-")
    return Counter(EGRESS_COUNT_MISMATCH=1)


def canary_abroad(place: Place, choose: Choose) -> Found:
    """A made-up account's data turns up at another developer than its own."""
    developer = DEVELOPERS[choose(2)]
    canary = place.plant(place.new_name("made-up"), developer)
    place.see(canary, other(developer))
    return Counter(CANARY_LEAKED=1)


def denied(place: Place, choose: Choose) -> Found:
    """It arrived, and the operator says that nothing of it left. Who got it says otherwise."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    body = place.arrive(permit, grant.developer)
    place.settle(permit, grant, None, disclosure="none", status=None)
    place.receipt(body)
    return Counter(RECEIPT_WITHOUT_DELIVERY=1)


def unsettled(place: Place, choose: Choose) -> Found:
    """Nobody says what became of an attempt."""
    grant = lone_grant(place, choose)
    place.arrive(_permit(place, grant), grant.developer)
    place.pass_time(2)
    place.tag(place.new_name("later"))
    return Counter(ATTEMPT_UNSETTLED=1)


def without_attempt(place: Place, choose: Choose) -> Found:
    """An end is recorded of an attempt that nobody decided on."""
    grant = lone_grant(place, choose)
    name = place.new_name("undecided")
    place.count(host_of(grant.developer), 2_000)
    place.settle(Permit(0, b"", name, 1, "", "", 0, "", "", "", "", 0.0), grant, host_of(grant.developer))
    return Counter(SENT_WITHOUT_ATTEMPT=1)


def old_permit(place: Place, choose: Choose) -> Found:
    """It was sent under a permit that had ended, after the account had revoked."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    place.clock.ms += 400
    place.revoke(grant)
    place.clock.ms += 5_000
    place.arrive(permit, grant.developer)
    place.settle(permit, grant, host_of(grant.developer))
    return Counter(DELIVERED_AFTER_REVOCATION=1)


def after_suspension(place: Place, choose: Choose) -> Found:
    """It left after its account had been suspended."""
    grant = lone_grant(place, choose)
    permit = _permit(place, grant)
    place.clock.ms += 400
    place.append("account.suspended", account=place.tag(grant.person))
    place.clock.ms += 300
    place.arrive(permit, grant.developer)
    place.settle(permit, grant, host_of(grant.developer))
    return Counter(ACCOUNT_NOT_ACTIVE=1)


def backdated_grant(place: Place, choose: Choose) -> Found:
    """It was sent past the gate without a grant, and the grant that would have covered it is recorded afterwards."""
    person, developer = place.new_name("lone"), DEVELOPERS[choose(2)]
    grant = Grant(place.new_name("unmade"), person, developer)
    refused = place.request(grant)
    assert isinstance(refused, Refused), refused
    place.count(host_of(developer), 2_000)
    place.clock.ms += 10
    sent_ms = place.clock.ms
    name = place.new_name("uncovered")
    place.settle(Permit(0, b"", name, 1, "", "", 0, "", "", "", "", 0.0), grant, host_of(developer))
    place.clock.ms += MINUTE_MS
    place.grant(person, developer, at=sent_ms - 5)
    return Counter(GRANT_BACKDATED=1, SENT_WITHOUT_ATTEMPT=1)


def late_revocation(place: Place, choose: Choose) -> Found:
    """The account revoked; the operator went on for ten minutes and recorded it then, with its true time."""
    grant = lone_grant(place, choose)
    place.clock.ms += 1_000
    revoked_ms = place.clock.ms
    place.clock.ms += 1_000
    place.deliver(grant)
    place.pass_time(10)
    place.append("grant.revoked", at=revoked_ms, grant=grant.name)
    return Counter(REVOCATION_RECORDED_LATE=1, DELIVERED_AFTER_REVOCATION=1)


TOLD_LIES = (
    misdelivered,
    another_connection,
    false_observation,
    no_observation,
    never_recorded,
    never_recorded_and_counted,
    sent_elsewhere,
    around_the_proxy,
    count_held_back,
    canary_abroad,
    denied,
    unsettled,
    without_attempt,
    old_permit,
    after_suspension,
    backdated_grant,
    late_revocation,
)
