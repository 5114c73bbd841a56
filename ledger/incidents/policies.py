"""Periods that entries set: deadlines, and how long something is kept (incidents and exports, section 5.1).

No period stands in code. :data:`PROPOSED` is what the specification names, for ``grantledger policy defaults`` to propose;
it counts from the moment that somebody sets it. Which of several settings counts for an incident that has begun is
:mod:`ledger.core.incident_clock`'s to say; what counts for something that begins now is the last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ledger.core.canonical import JsonValue
from ledger.core.strict import INTEGER_MAX
from ledger.errors import ConflictError, UsageError
from ledger.gateway.drafts import live_draft
from ledger.ports import Clock
from ledger.ports.incidents import Incidents, Policy
from ledger.sequencer.draft import expect
from ledger.sequencer.sequencer import Sequencer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RACES_MAX = 5

_UNITS = MappingProxyType({"ms": 1, "s": 1_000, "m": 60_000, "h": HOUR_MS, "d": DAY_MS})
_match_period = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)", re.ASCII).fullmatch
_match_id = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that somebody may want to set, and where its period comes from."""

    policy: str
    jurisdiction: str | None
    period_ms: int
    source: str


PROPOSED: tuple[Proposal, ...] = (
    Proposal(
        "authority_notice", "gdpr", 72 * HOUR_MS, "GDPR Art. 33(1): the authority, after becoming aware"
    ),
    Proposal(
        "people_notice", "california", 30 * DAY_MS, "Cal. Civ. Code 1798.82: the people, after discovery"
    ),
    Proposal(
        "authority_copy",
        "california",
        15 * DAY_MS,
        "Cal. Civ. Code 1798.82(f): a copy, after people were told",
    ),
    Proposal("deletion_ack", None, 24 * HOUR_MS, "a developer acknowledges a deletion request"),
    Proposal("deletion_done", None, 7 * DAY_MS, "a developer deletes"),
    Proposal("deletion_attest", None, 10 * DAY_MS, "a developer attests what it did"),
)
"""What the specification names."""

EVENTS = "retention.events"
DEAD_LETTERS = "retention.dead_letters"
NOTES = "retention.notes"
CONTACTS = "retention.contacts"
DELETED_ACCOUNTS = "retention.deleted_accounts"
RETAINED = (EVENTS, DEAD_LETTERS, NOTES, CONTACTS, DELETED_ACCOUNTS)
"""Policies that say how long something is kept; nothing is proposed for them."""

KNOWN = frozenset(one.policy for one in PROPOSED).union(RETAINED)


class Policies:
    """Sets and reads policies. Safe from any thread."""

    def __init__(self, sequencer: Sequencer, incidents: Incidents, clock: Clock) -> None:
        self._sequencer = sequencer
        self._incidents = incidents
        self._clock = clock

    def period_ms(self, policy: str, jurisdiction: str | None = None) -> int | None:
        """What ``policy`` gives now, in ``jurisdiction`` where one is named; None where nobody has set it."""
        found = [one for one in self._incidents.policies() if _is_named(one, policy, jurisdiction)]
        return found[-1].period_ms if found else None

    def load_all(self) -> Sequence[Policy]:
        """All that were ever set, in the order of recording."""
        return self._incidents.policies()

    def in_force(self) -> Sequence[Policy]:
        """The last of each, by name."""
        last = {(one.policy, one.jurisdiction): one for one in self._incidents.policies()}
        return [last[key] for key in sorted(last)]

    def set(self, policy: str, jurisdiction: str | None, period_ms: int, actor: str) -> bool:
        """Let ``policy`` give ``period_ms`` from now on; False where it does already.

        Raises UsageError for a policy that nothing here asks for, or a period out of range.
        """
        _check(policy, jurisdiction, period_ms)
        for _ in range(RACES_MAX):
            known = [one for one in self._incidents.policies() if _is_named(one, policy, jurisdiction)]
            if known and known[-1].period_ms == period_ms:
                return False
            try:
                self._append(policy, jurisdiction, period_ms, len(known) + 1, actor)
            except ConflictError:
                continue  # Somebody else set it in between: look at what they said.
            return True
        raise ConflictError(f"others set {policy} at the same time, again and again")

    def _append(self, policy: str, jurisdiction: str | None, period_ms: int, number: int, actor: str) -> None:
        stated: dict[str, JsonValue] = {"policy": policy, "period_ms": period_ms}
        if jurisdiction is not None:
            stated["jurisdiction"] = jurisdiction
        uid = f"policy.set/{policy}/{jurisdiction or ''}/{number}"
        kept = Policy(policy, jurisdiction or "", period_ms, self._clock.now_ms(), uid)
        draft = live_draft("policy.set", actor, stated, uid=uid, changes=[self._incidents.put_policy(kept)])
        expect(self._sequencer.append(draft))


def parse_period(text: str) -> int:
    """``72h``, ``30d``, ``90m``, ``15s`` or ``5ms`` in milliseconds; raises UsageError for anything else."""
    found = _match_period(text)
    if found is None:
        raise UsageError(f"{text!r} is no period: write a number and one of {', '.join(_UNITS)}, such as 72h")
    return int(found[1]) * _UNITS[found[2]]


def format_period(period_ms: int) -> str:
    """``period_ms`` as :func:`parse_period` reads it, in the largest unit that it is a whole number of (days: above 3)."""
    if period_ms > 3 * DAY_MS and period_ms % DAY_MS == 0:
        return f"{period_ms // DAY_MS}d"
    for unit in ("h", "m", "s"):
        if period_ms and period_ms % _UNITS[unit] == 0:
            return f"{period_ms // _UNITS[unit]}{unit}"
    return f"{period_ms}ms"


def _is_named(one: Policy, policy: str, jurisdiction: str | None) -> bool:
    return one.policy == policy and one.jurisdiction == (jurisdiction or "")


def _check(policy: str, jurisdiction: str | None, period_ms: int) -> None:
    if policy not in KNOWN:
        # A name that nothing applies would let somebody believe that something is kept within it.
        raise UsageError(f"nothing asks for a policy {policy!r}; there are: {', '.join(sorted(KNOWN))}")
    for name, value in (("policy", policy), ("jurisdiction", jurisdiction)):
        if value is not None and not _match_id(value):
            raise UsageError(f"a {name} is 1 to 64 of A-Z a-z 0-9 . _ -")
    if not 0 < period_ms <= INTEGER_MAX:
        raise UsageError("a period is longer than nothing, and shorter than 2^53 milliseconds")
