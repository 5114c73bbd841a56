"""What an investigator asks of a reenactment: who was affected, who received what, since when could it be known.

Everything here counts what the verifier found in the ledger and what is true; nothing is judged anew. Who received is
taken from the truth: over a reused connection the observed destination can be a URL that nobody owns. Instants in the
report are RFC 3339, developers stand under their names.

*Time to the first finding* is measured in virtual time, for an auditor that verifies continuously. It runs from the
instant the first misdelivered body left (``started_at``, by ground truth) to the instant the ledger first held an
entry from which the verifier names an exposure: the record of that delivery, written when the request had ended
(``ended_at``). Whatever else the verdict rests on (registrations, grants) was recorded before.

*Possible* exposure is what would be left in doubt if nobody had observed the destinations: the people of the
deliveries that the circumstances match, without those who are definitely exposed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.audit.exposure import Assessment
from ledger.audit.findings import Finding
from ledger.core.judgement import Judgement
from ledger.core.timestamps import format_rfc3339
from ledger.reenactment.auditors import Key, key_of
from ledger.reenactment.run import TrafficRun
from ledger.reenactment.truth import AttemptTruth
from ledger.reenactment.world import CLOSED_AT_MS, DAY_MS, World

NO_FIRST = dict.fromkeys(("misdelivery_at", "finding_at", "seconds_to_finding", "finding"))


@dataclass(slots=True)
class _Affected:
    """The accounts and the other people of some deliveries."""

    deliveries: int = 0
    accounts: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)

    def add(self, account: str, subjects: Iterable[str]) -> None:
        """Take one delivery."""
        self.deliveries += 1
        self.accounts.add(account)
        self.subjects.update(set(subjects) - {account})


def _affected(attempts: Iterable[AttemptTruth]) -> _Affected:
    found = _Affected()
    for attempt in attempts:
        found.add(attempt.account, attempt.subjects)
    return found


def describe_world(run: TrafficRun) -> dict[str, int]:
    """The sizes of the cast; an account is active if anything of it was sent."""
    world = run.world
    return {
        "developers": len(world.developers),
        "apps": len(world.apps),
        "endpoints": len(world.webhooks),
        "accounts": len(world.accounts),
        "active_accounts": len(run.active_accounts),
        "people": len(world.people),
        "addresses": len({change.address for change in world.dns}),
        "grants": len(world.grants),
    }


def describe_traffic(run: TrafficRun) -> dict[str, int]:
    """The sizes of the traffic: ``deliveries`` are attempts whose body left, ``failed`` those of which nothing did."""
    sent = _disclosed(run)
    return {
        "events": len(run.traffic.events),
        "deliveries": len(sent),
        "failed": len(run.attempts) - len(sent),
        "retries": sum(attempt.attempt > 1 for attempt in sent),
        "replays": sum(attempt.is_replay for attempt in sent),
    }


def describe_truth(run: TrafficRun) -> dict[str, Any]:
    """Whom the misdelivered attempts concern."""
    affected = _affected(run.misdelivered)
    return {
        "misdelivered": affected.deliveries,
        "accounts": len(affected.accounts),
        "subjects": len(affected.subjects),
        "share_of_active_accounts": _share(len(affected.accounts), len(run.active_accounts)),
    }


def describe_exposure(
    run: TrafficRun, assessment: Assessment, circumstances: Collection[Key]
) -> dict[str, Any]:
    """Definite exposure as assessed from the ledger, and what ``circumstances`` name beyond it (see the module)."""
    definite = assessment.to_json(with_lists=False)["definite"]
    wrong = {key_of(attempt): attempt for attempt in run.misdelivered}
    named = [attempt for attempt in run.attempts if key_of(attempt) in circumstances]
    sure, doubtful = _affected(wrong.values()), _affected(named)
    accounts = len(doubtful.accounts - sure.accounts)
    active = assessment.active_accounts
    return {
        "definite": {name: definite[name] for name in ("accounts", "subjects", "deliveries")},
        "possible": {
            "accounts": accounts,
            "subjects": len(doubtful.subjects - sure.subjects),
            "deliveries": sum(key_of(attempt) not in wrong for attempt in named),
        },
        "active_accounts": active,
        "share_definite": _share(definite["accounts"], active),
        "share_possible": _share(accounts, active),
    }


def describe_receivers(run: TrafficRun) -> list[dict[str, Any]]:
    """For each developer whose key ended a connection that was not for it: how much, of whom, and meant for whom."""
    names = _names(run.world)
    received: dict[str, list[AttemptTruth]] = {}
    for attempt in run.misdelivered:
        assert attempt.received_developer is not None, "a misdelivered attempt was received"
        received.setdefault(attempt.received_developer, []).append(attempt)
    rows = []
    for developer, attempts in received.items():
        affected = _affected(attempts)
        meant = Counter(names[attempt.intended_developer] for attempt in attempts)
        rows.append(
            {
                "developer": names[developer],
                "received_wrongly": affected.deliveries,
                "accounts": len(affected.accounts),
                "subjects": len(affected.subjects),
                "meant_for": dict(sorted(meant.items(), key=lambda pair: (-pair[1], pair[0]))),
            }
        )
    return sorted(rows, key=lambda row: (-row["received_wrongly"], row["developer"]))


def describe_first(run: TrafficRun, exposures: Iterable[Judgement]) -> dict[str, Any]:
    """The first misdelivery, and when the ledger could first name one (see the module); Nones where there is none."""
    ended_ms = {key_of(attempt): attempt.ended_at_ms for attempt in run.attempts}
    found = [
        (ended_ms[judged.delivery.delivery, judged.delivery.attempt], judged.code) for judged in exposures
    ]
    if not found or not run.misdelivered:
        return dict(NO_FIRST)
    first_ms = min(attempt.started_at_ms for attempt in run.misdelivered)
    finding_ms, code = min(found, key=lambda pair: pair[0])
    return {
        "misdelivery_at": format_rfc3339(first_ms),
        "finding_at": format_rfc3339(finding_ms),
        "seconds_to_finding": (finding_ms - first_ms) / 1_000,
        "finding": code,
    }


def describe_collisions(run: TrafficRun, findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The ``ENDPOINT_COLLISION`` findings, each with how long it stood before the first misdelivery between the two.

    That is the first attempt for one of the two developers that the other received while both names led to the
    collision's address; None where there was none.
    """
    names = _names(run.world)
    rows = []
    for finding in findings:
        if finding.code != "ENDPOINT_COLLISION":
            continue
        details = finding.details
        assert details is not None, "a collision has its details"
        pair = set(details["developers"])
        between = [
            attempt.started_at_ms
            for attempt in run.misdelivered
            if {attempt.intended_developer, attempt.received_developer} == pair
            and attempt.resolved_ip == details["address"]
        ]
        since_ms: int = details["since"]
        rows.append(
            {
                "endpoints": details["endpoints"],
                "developers": [names[developer] for developer in details["developers"]],
                "address": details["address"],
                "port": details["port"],
                "path": details["path"],
                "since": format_rfc3339(since_ms),
                "before_first_misdelivery_days": round((min(between) - since_ms) / DAY_MS, 3)
                if between
                else None,
            }
        )
    return sorted(rows, key=lambda row: (row["since"], row["endpoints"]))


def describe_months(run: TrafficRun) -> list[dict[str, Any]]:
    """Deliveries and misdeliveries by month of their start, every month of the reenactment among them."""
    sent = Counter(_month(attempt.started_at_ms) for attempt in _disclosed(run))
    wrong = Counter(_month(attempt.started_at_ms) for attempt in run.misdelivered)
    days = range(run.world.opened_at_ms, CLOSED_AT_MS, DAY_MS)
    months = sorted({*map(_month, days), *sent})
    return [{"month": month, "deliveries": sent[month], "misdelivered": wrong[month]} for month in months]


def truth_rows(attempts: Sequence[AttemptTruth]) -> Iterable[dict[str, Any]]:
    """The ground truth, attempt by attempt: what ``ground-truth.jsonl`` holds."""
    for attempt in attempts:
        yield {
            "delivery": attempt.delivery,
            "attempt": attempt.attempt,
            "account": attempt.account,
            "started_at": format_rfc3339(attempt.started_at_ms),
            "ended_at": format_rfc3339(attempt.ended_at_ms),
            "disclosure": attempt.disclosure,
            "intended_developer": attempt.intended_developer,
            "intended_endpoint": attempt.intended_endpoint,
            "received_developer": attempt.received_developer,
            "received_sni": attempt.received_sni,
            "received_host_header": attempt.received_host_header,
            "received_spki_sha256": attempt.received_spki_sha256,
            "signed_by": attempt.signed_by,
            "misdelivered": attempt.is_misdelivered,
        }


def _disclosed(run: TrafficRun) -> list[AttemptTruth]:
    return [attempt for attempt in run.attempts if attempt.disclosure != "none"]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _month(at_ms: int) -> str:
    return format_rfc3339(at_ms)[:7]


def _names(world: World) -> Mapping[str, str]:
    return {developer.developer: developer.name for developer in world.developers}
