"""Reports as the verifier and the reenactment make them, for tests of the pages."""

from __future__ import annotations

import copy
from typing import Any

ROOT = "9f3c" * 16
_SIGNATURE = f"— ledger.example/reenactment Az3g{'rlgt' * 20}AYQ8="
_CHECKPOINT = f"ledger.example/reenactment\n5871\n{'nzyf' * 10}nzw=\n\n{_SIGNATURE}\n"
_MONTHS = [f"{year}-{month:02d}" for year in (2017, 2018) for month in range(1, 13)][4:21]


def reenactment_report() -> dict[str, Any]:
    """A run with the published fault: 23 of 3,214 deliveries astray."""
    wrong = [0, 0, 3, 0, 0, 1, 0, 4, 0, 0, 2, 0, 6, 1, 0, 4, 2]
    sent = [98, 141, 187, 176, 203, 190, 211, 240, 198, 172, 214, 187, 261, 190, 203, 244, 99]
    return {
        "seed": 7,
        "scale": "default",
        "fault": "ip+path",
        "window": {"from": "2017-05-01T00:00:00.000Z", "to": "2018-09-10T00:00:00.000Z"},
        "world": {
            "developers": 22,
            "apps": 24,
            "endpoints": 25,
            "accounts": 1_200,
            "active_accounts": 1_113,
            "people": 2_500,
            "addresses": 6,
            "grants": 1_318,
        },
        "traffic": {"events": 3_050, "deliveries": 3_214, "retries": 131, "replays": 33},
        "truth": {"misdelivered": 23, "accounts": 19, "subjects": 31, "share_of_active_accounts": 19 / 1_113},
        "auditors": [
            {
                "id": "intended",
                "name": "Intended destination only",
                "judged": 3_214,
                "flagged": 0,
                "true_positives": 0,
                "false_positives": 0,
                "false_negatives": 23,
                "precision": None,
                "recall": 0.0,
                "explanation": "Judges where each delivery was meant to go: always to an authorized developer.",
            },
            {
                "id": "observed",
                "name": "The ledger: observed destination",
                "judged": 3_214,
                "flagged": 23,
                "true_positives": 23,
                "false_positives": 0,
                "false_negatives": 0,
                "precision": 1.0,
                "recall": 1.0,
                "explanation": "Judges where each connection ended, by the name that its certificate proved.",
            },
            {
                "id": "circumstances",
                "name": "Circumstances only",
                "judged": 3_214,
                "flagged": 41,
                "true_positives": 23,
                "false_positives": 18,
                "false_negatives": 0,
                "precision": 23 / 41,
                "recall": 1.0,
                "explanation": "Nobody saw the connections. Names what happened in like circumstances.",
            },
        ],
        "exposure": {
            "definite": {"accounts": 19, "subjects": 31, "deliveries": 23},
            "possible": {"accounts": 14, "subjects": 22, "deliveries": 18},
            "active_accounts": 1_113,
            "share_definite": 19 / 1_113,
            "share_possible": 14 / 1_113,
        },
        "developers": [
            _receiver("Cedar Relay", 9, 8, 12, {"Fjord Signal": 9}),
            _receiver("Lumen Desk", 6, 5, 9, {"Kestrel Works": 4, "Harbour Metric": 2}),
            _receiver("Fjord Signal", 5, 4, 6, {"Cedar Relay": 5}),
            _receiver("Indigo Voice", 3, 2, 4, {"Juniper Post": 3}),
        ],
        "first": {
            "misdelivery_at": "2017-07-04T09:12:44.120Z",
            "finding_at": "2017-07-04T09:12:46.370Z",
            "seconds_to_finding": 2.25,
            "finding": "WRONG_DEVELOPER",
        },
        "collisions": [
            _collision(
                ["ep-03", "ep-11"], ["Cedar Relay", "Fjord Signal"], "2017-05-03T10:00:00.000Z", 61.967
            ),
            _collision(["ep-05", "ep-12"], ["Lumen Desk", "Kestrel Works"], "2017-08-29T00:00:00.000Z", None),
        ],
        "gate": {
            "attempted": 3_226,
            "refused": 12,
            "settled": 3_214,
            "misdelivered": 0,
            "findings": 0,
            "refusals_by_code": {"DELIVERED_AFTER_REVOCATION": 9, "SCOPE_NARROWED": 3},
        },
        "service": None,
        "aftermath": None,
        "timeline": [
            {"month": month, "deliveries": count, "misdelivered": astray}
            for month, count, astray in zip(_MONTHS, sent, wrong, strict=True)
        ],
        "codes": {"WRONG_DEVELOPER": 21, "NO_GRANT": 2, "ENDPOINT_COLLISION": 2, "DUPLICATE_DELIVERY": 8},
        "ledger": {
            "directory": "reenactment-out",
            "database": "reenactment-out/ledger.db",
            "tree_size": 5_871,
            "root": ROOT,
            "checkpoint": _CHECKPOINT,
            "verify_command": "grantledger --db sqlite:///reenactment-out/ledger.db verify",
        },
        "runtime": {"seconds": 48.31, "https_requests": 6_611},
    }


def aftermath_section() -> dict[str, Any]:
    """What had to follow, as the report of a reenactment has it."""
    states = (("Cedar Relay", 9, "ATTESTED"), ("Lumen Desk", 6, "DISPUTED"), ("Fjord Signal", 5, "ESCALATED"))
    return {
        "incident": {"incident": "i-1", "cause": "misrouting", "findings": 23},
        "incidents": 1,
        "steps": [
            {"at": "2018-09-11T00:00:00.000Z", "hours": 0, "what": "the findings become an incident"},
            {"at": "2018-09-11T02:00:00.000Z", "hours": 2, "what": "everybody affected gets a notice"},
        ],
        "notices": {"people": 50, "queued": 50, "sent": 50, "missed": 0, "too_many": 0},
        "obligations": [
            {"name": name, "developer": name, "deliveries": count, "state": state}
            for name, count, state in states
        ],
        "updates": 2,
        "draft": {"filled": 37, "missing": [], "is_late": False},
        "export": {"entries": 114, "check_exit_status": 0, "check_says": ["PROVEN"]},
    }


def service_section() -> dict[str, Any]:
    """What a play through a service adds to the report of a reenactment."""
    return {
        "events": 2_722,
        "subscriptions": 1_494,
        "unsubscriptions": 393,
        "outages": 28,
        "starts": 3,
        "broken_off": False,
        "expected": 2_864,
        "arrived": 2_864,
        "lost": 0,
        "misdelivered": 0,
        "requests": 2_897,
        "duplicates": 0,
        "attempted": 2_897,
        "answered": 2_864,
        "failed": 33,
        "refused": 327,
        "refusals_by_code": {"DELIVERED_AFTER_REVOCATION": 253, "SCOPE_EXCEEDED": 74},
        "decided_otherwise": 0,
        "findings": 0,
        "codes": {"ENDPOINT_COLLISION": 4},
        "tree_size": 13_057,
        "root": ROOT,
        "exit_status": 0,
        "is_right": True,
        "database": "reenactment-out/service.db",
        "log": "reenactment-out/service.log",
        "verify_command": "grantledger verify --db reenactment-out/service.db",
        "seconds": 85.35,
    }


def calm_reenactment_report() -> dict[str, Any]:
    """A run with the fault switched off: nothing went astray, and nothing was found."""
    report = copy.deepcopy(reenactment_report())
    none = {"accounts": 0, "subjects": 0, "deliveries": 0}
    report |= {
        "fault": "none",
        "truth": {"misdelivered": 0, "accounts": 0, "subjects": 0, "share_of_active_accounts": 0.0},
        "developers": [],
        "collisions": [],
        "first": {"misdelivery_at": None, "finding_at": None, "seconds_to_finding": None, "finding": None},
        "codes": {},
        "exposure": {
            "definite": none,
            "possible": none,
            "active_accounts": 1_113,
            "share_definite": 0.0,
            "share_possible": 0.0,
        },
    }
    for auditor in report["auditors"]:
        auditor |= dict.fromkeys(("flagged", "true_positives", "false_positives", "false_negatives"), 0)
        auditor |= {"precision": None, "recall": None}
    for row in report["timeline"]:
        row["misdelivered"] = 0
    return report


def _receiver(
    name: str, count: int, accounts: int, subjects: int, meant_for: dict[str, int]
) -> dict[str, Any]:
    return {
        "developer": name,
        "received_wrongly": count,
        "accounts": accounts,
        "subjects": subjects,
        "meant_for": meant_for,
    }


def _collision(endpoints: list[str], developers: list[str], since: str, days: float | None) -> dict[str, Any]:
    return {
        "endpoints": endpoints,
        "developers": developers,
        "address": "127.0.0.3",
        "port": 443,
        "path": "/webhooks/twitter",
        "since": since,
        "before_first_misdelivery_days": days,
    }


def finding(code: str, severity: str, index: int = 0, **members: Any) -> dict[str, Any]:
    """A finding about a delivery; ``members`` replace what it says."""
    return {
        "delivery": f"d-{index:05d}",
        "attempt": 1,
        "code": code,
        "codes": [code],
        "severity": severity,
        "verdict": "UNAUTHORIZED" if severity == "X" else "AUTHORIZED",
        "evidence": "observed",
        "expected": {
            "developer": "dev-04",
            "app": "app-04",
            "environment": "production",
            "endpoint": "ep-04",
        },
        "actual": {"developer": "dev-09", "app": "app-09", "environment": "production", "endpoint": "ep-09"},
        "nearest": [],
        "disclosure": "confirmed",
        "exposure": "definite" if severity == "X" else None,
        "event_type": "direct_message_events",
        "account": f"a_{index:032x}",
        "started_at": 1_499_159_564_120 + index * 60_000,
        "entries": [400 + index],
    } | members


def ledger_finding(code: str, severity: str, text: str, entries: list[int]) -> dict[str, Any]:
    """A finding about the ledger itself or about two endpoints."""
    return {"code": code, "codes": [code], "severity": severity, "entries": entries, "text": text}


def verify_report(findings: list[dict[str, Any]] | None = None, **members: Any) -> dict[str, Any]:
    """A report on 1,204 deliveries, 3 of them astray unless ``findings`` or ``members`` say otherwise."""
    if findings is None:
        miss = [
            {"grant": "g-0117", "code": "DELIVERED_AFTER_EXPIRY"},
            {"grant": "g-0090", "code": "SCOPE_EXCEEDED"},
        ]
        codes = ["WRONG_DEVELOPER", "DESTINATION_MISMATCH"]
        findings = [
            ledger_finding(
                "ENDPOINT_COLLISION",
                "A",
                "ep-04 and ep-09 lead to 203.0.113.7:443/webhooks/twitter",
                [31, 58],
            ),
            finding("WRONG_DEVELOPER", "X", 1, codes=codes),
            finding("WRONG_DEVELOPER", "X", 2, codes=codes, nearest=miss, entries=[402, 403]),
            finding("ATTEMPT_UNSETTLED", "P", 4, verdict="INDETERMINATE", evidence="intended"),
            finding("ENDPOINT_UNKNOWN", "X", 3, actual={"developer": None, "app": None, "endpoint": None}),
        ]
    codes_of = [row["code"] for row in findings]
    return {
        "tree_size": 2_981,
        "root": ROOT,
        "origin": "ledger.example/log",
        "vkey": f"ledger.example/log+8a1f20c4+{'AbCd' * 11}",
        "checkpoint_size": 2_981,
        "rule_set": "rules-1",
        "rule_set_hash": "51ab" * 16,
        "engine": "duckdb",
        "evidence": {"observed": 1_203, "intended": 1},
        "counts": {
            "AUTHORIZED": 1_200,
            "VOIDED_LATER": 0,
            "COVERED_RETROACTIVELY": 0,
            "UNAUTHORIZED": 3,
            "INDETERMINATE": 1,
        },
        "codes": {code: codes_of.count(code) for code in codes_of},
        "accounts_affected": {"definite": 3, "possible": 1},
        "subjects_affected": {"definite": 5, "possible": 2},
        "developers": [{"developer": "dev-09", "deliveries": 2, "accounts": 2, "subjects": 4}],
        "unsettled": 1,
        "notes": ["2 tags have no row in the vault: their identity was not checked"],
        "exit_status": 1,
        "findings": findings,
    } | members


def clean_report() -> dict[str, Any]:
    """A report without a finding."""
    return verify_report(
        [],
        counts={"AUTHORIZED": 1_204},
        accounts_affected={"definite": 0, "possible": 0},
        subjects_affected={"definite": 0, "possible": 0},
        developers=[],
        unsettled=0,
        notes=[],
        exit_status=0,
    )


def broken_report() -> dict[str, Any]:
    """A report on a ledger that somebody edited."""
    findings = [
        ledger_finding("CHAIN_BROKEN", "I", "prev is not the leaf hash " + "4c" * 32, [812]),
        ledger_finding("ROOT_MISMATCH", "I", "the entries give " + "b7" * 32, []),
        finding("WRONG_DEVELOPER", "X", 1),
    ]
    return verify_report(findings, exit_status=2)
