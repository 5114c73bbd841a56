"""Entries as events of the Open Cybersecurity Schema Framework, for SIEM systems (OCSF 1.3; exports, section 5.5).

=====================  =====================================  ===================================================
entries                class                                  activity
=====================  =====================================  ===================================================
``finding.recorded``   2004 Detection Finding                 1 Create
``incident.*``         2005 Incident Finding                  1 Create, 2 Update, 3 Close (concluded)
all others             6003 API Activity                      1 Create, 2 Read, 3 Update, 4 Delete, 99 Other
=====================  =====================================  ===================================================

``raw_data`` holds the entry's exact bytes, so that nothing is lost and the leaf hash can be made again. ``metadata.uid`` is
the origin and the entry's number, the same whenever an entry is sent again: a receiver tells repeats by it. People are tags
here as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger import __version__
from ledger.core.chain import leaf_hash
from ledger.ports import StoredEntry
from ledger.reporting.codes_in_words import CODE_WORDS

SCHEMA_VERSION = "1.3.0"
DETECTION_FINDING, INCIDENT_FINDING, API_ACTIVITY = 2004, 2005, 6003
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_INCIDENT_UPDATE, _INCIDENT_CLOSE = 2, 3
_SUCCESS, _FAILURE = 1, 2

_ENDS = {
    "registered": _CREATE, "issued": _CREATE, "created": _CREATE, "declared": _CREATE, "opened": _CREATE, "placed": _CREATE,
    "planted": _CREATE, "requested": _CREATE, "queued": _CREATE, "key_set": _CREATE, "set": _CREATE, "sealed": _CREATE,
    "attempted": _READ, "settled": _READ, "imported": _READ, "refused": _READ, "viewed": _READ, "downloaded": _READ,
    "deleted": _DELETE, "revoked": _DELETE, "invalidated": _DELETE, "retired": _DELETE, "erased": _DELETE, "lifted": _DELETE,
    "amended": _UPDATE, "suspended": _UPDATE, "reinstated": _UPDATE, "reactivated": _UPDATE, "resumed": _UPDATE,
    "transferred": _UPDATE, "rotated": _UPDATE, "verified": _UPDATE, "failed": _UPDATE, "approved": _UPDATE,
    "rejected": _UPDATE,
}  # fmt: skip
"""The activity by the last part of a kind."""

_SEVERITIES = {"I": 5, "X": 4, "P": 3, "A": 2}
"""Critical for a ledger that contradicts itself, high for an exposure, medium for process, low for advice."""
_INFORMATIONAL = 1
_STATUSES = {"suspected": 1, "detected": 1, "assessed": 2, "halted": 2, "mitigated": 2, "concluded": 5}
_RESOURCES = (
    "account",
    "developer",
    "app",
    "endpoint",
    "grant",
    "subscription",
    "delivery",
    "export",
    "hold",
    "notice",
    "obligation",
)


def ocsf_event(origin: str, row: StoredEntry, members: Mapping[str, Any]) -> dict[str, Any]:
    """The event of the entry ``row`` of the log ``origin``, whose ``members`` were decoded already."""
    kind = str(members["kind"])
    if kind == "finding.recorded":
        return {**_base(origin, row, members, DETECTION_FINDING, _CREATE), **_detection(origin, members)}
    if kind.startswith("incident."):
        is_over = members.get("incident_status") == "concluded"
        activity = _CREATE if kind == "incident.opened" else _INCIDENT_CLOSE if is_over else _INCIDENT_UPDATE
        return {**_base(origin, row, members, INCIDENT_FINDING, activity), **_incident(members)}
    family, _, end = kind.rpartition(".")
    activity = _OTHER if family == "index" else _ENDS.get(end, _OTHER)
    return {**_base(origin, row, members, API_ACTIVITY, activity), **_call(members, kind)}


def _base(
    origin: str, row: StoredEntry, members: Mapping[str, Any], class_uid: int, activity: int
) -> dict[str, Any]:
    return {
        "activity_id": activity,
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "severity_id": _SEVERITIES.get(str(members.get("severity")), _INFORMATIONAL),
        "time": members["at"],
        "metadata": {
            "version": SCHEMA_VERSION,
            "uid": f"{origin}/{members['seq']}",
            "event_code": members["kind"],
            "sequence": members["seq"],
            "logged_time": members["recorded_at"],
            "log_name": origin,
            "product": {"name": "grantledger", "vendor_name": "grantledger", "version": __version__},
        },
        "raw_data": row.data.decode(),
        "unmapped": {"leaf_hash": leaf_hash(row.data).hex(), "actor": members["actor"]},
    }


def _detection(origin: str, members: Mapping[str, Any]) -> dict[str, Any]:
    code = str(members["code"])
    words = CODE_WORDS.get(code)
    info: dict[str, Any] = {
        "uid": f"{origin}/{members['seq']}",
        "title": code if words is None else words.label,
        "types": [code],
        "created_time": members["recorded_at"],
    }
    if words is not None:
        info["desc"] = words.sentence
    return {
        "finding_info": info,
        "is_alert": members.get("severity") in ("I", "X"),
        "status_id": 1,
        "resources": _resources(members),
    }


def _incident(members: Mapping[str, Any]) -> dict[str, Any]:
    incident = members["incident"]
    status = _STATUSES.get(
        str(members.get("incident_status")), 1 if members["kind"] == "incident.opened" else 2
    )
    return {
        "finding_info_list": [{"uid": incident, "title": f"Incident {incident}"}],
        "status_id": status,
        "severity_id": 0,
    }


def _call(members: Mapping[str, Any], kind: str) -> dict[str, Any]:
    observed = members.get("observed") or {}
    named = {"hostname": observed.get("host"), "ip": observed.get("peer_ip"), "port": observed.get("port")}
    destination = {name: value for name, value in named.items() if value is not None}
    is_failed = kind == "delivery.refused" or members.get("disclosure") == "none"
    event: dict[str, Any] = {
        "actor": {"user": {"uid": members["actor"]}},
        "api": {"operation": kind},
        # Where the call came from is no member of an entry; through which door is.
        "src_endpoint": {"name": members["via"]},
        "resources": _resources(members),
        "status_id": _FAILURE if is_failed else _SUCCESS,
    }
    if destination:
        event["dst_endpoint"] = destination
    if isinstance(members.get("status"), int):
        event["http_response"] = {"code": members["status"]}
    if is_failed and "reason" in members:
        event["status_detail"] = members["reason"]
    return event


def _resources(members: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"type": name, "uid": members[name]} for name in _RESOURCES if isinstance(members.get(name), str)
    ]
    return [*found, *[{"type": "subject", "uid": tag} for tag in members.get("subjects") or ()]]
