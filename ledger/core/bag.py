"""What an export holds and how its parts are bound together (exports, section 5.5).

::

    data/export.json        what it is, and the SHA-256 of every other file below data/: the manifest
    data/custody/...        the entries that say who made this manifest, and who approved exactly it
    data/export.dsse.json   the SHA-256 of both, signed by the log's key when it was approved

The manifest is made before anybody approves, and never changes. So an export that was edited afterwards is another one: its
hash is not the one in the entries, and not the one that was signed.

Members that are commitments (``COMMITTED``) are either opened or listed as withheld, each of them; none is passed over.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from ledger.core.canonical import JsonValue, encode
from ledger.core.export_filter import FILTER, Filter
from ledger.core.jcs import decode_file, encode_file
from ledger.core.shapes import HASH, read_shape
from ledger.core.strict import decode_utf8, encode_utf8, parse_hex, parse_lines
from ledger.errors import FormatError

MANIFEST = "data/export.json"
SIGNATURE = "data/export.dsse.json"
CUSTODY = "data/custody/custody.jsonl"
ENTRIES = "data/ledger/entries.jsonl"
TABLE = "data/ledger/entries.csv"
FINDINGS = "data/findings/findings.jsonl"
TIMELINE = "data/grants/timeline.jsonl"
CHECKPOINT = "data/proofs/checkpoint"
INCLUSION = "data/proofs/inclusion.jsonl"
INDEX = "data/proofs/index.jsonl"
OPENINGS = "data/openings/openings.jsonl"
REDACTIONS = "data/openings/redactions.jsonl"
BAG_TAGS = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")
TAG_MANIFEST = "tagmanifest-sha256.txt"
UNLISTED = (MANIFEST, SIGNATURE, CUSTODY)
"""Files below data/ that the manifest does not list: itself, and what came after it."""

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
STATEMENT_TYPE = "application/vnd.grantledger.export.v1+json"
EACH, TOGETHER = "each", "together"
COMPLETE, COUNTED = "complete", "counted"

COMMITTED = (
    "commitment", "document", "evidence_given", "identity", "payload", "reasons_for_delay", "request", "text",
)  # fmt: skip
"""Members of any kind that are commitments, beside ``evidence.request``."""

_SPAN = {"first": int, "last": int}
EXPORT = {
    "v": int, "export": str, "origin": str, "vkey": str, "cosigners": [str], "rule_set": str, "rule_set_sha256": HASH,
    "requester": str, "case": str, "legal_basis": str, "salt": HASH, "created_by": str, "created_at": int,
    "filter": FILTER, "redaction": str, "recipients": [str], "tree_size": int, "root": HASH, "checkpoint": str,
    "at?": _SPAN, "recorded_at?": _SPAN, "entries": int, "proofs": str, "kinds": [{"kind": str, "count": int}],
    "keys": [{"key": str, "claim": str, "recorded": int, "shown": int}],
    "files": [{"path": str, "bytes": int, "rows?": int, "sha256": HASH}],
}  # fmt: skip
"""The members of the manifest (:mod:`ledger.core.shapes`)."""

STATEMENT = {"approved_by": str, "custody": HASH, "export": str, "manifest": HASH, "requested_by": str}
"""The members of the signed statement."""

_match_commitment = re.compile("[0-9a-f]{64}").fullmatch


def read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest whose file is exactly ``data``, with its ``filter`` as a :class:`Filter`; FormatError for any other."""
    read: dict[str, Any] = read_shape(decode_file(data), EXPORT, "export.json")
    if read["v"] != 1 or read["proofs"] not in (EACH, TOGETHER):
        raise FormatError("export.json is of a version that is not known here")
    read["filter"] = Filter(**read["filter"])
    return read


def hash_query(formatted: Mapping[str, JsonValue]) -> bytes:
    """The SHA-256 that stands for a filter in the entry of a request."""
    return sha256(encode(dict(formatted))).digest()


def commit_request(salt: bytes, requester: str, case: str, legal_basis: str) -> str:
    """The commitment that stands for who asked, and what for, in the entry of a request."""
    told: dict[str, JsonValue] = {"case": case, "legal_basis": legal_basis, "requester": requester}
    return hmac.new(salt, encode_file(told), "sha256").hexdigest()


def committed_fields(members: Mapping[str, Any]) -> list[str]:
    """Where commitments stand in the entry with ``members``, ascending."""
    fields = [name for name in COMMITTED if name in members and _is_commitment(members[name])]
    evidence = members.get("evidence")
    if isinstance(evidence, dict) and _is_commitment(evidence.get("request")):
        return sorted([*fields, "evidence.request"])
    return fields


def format_hashes(hashes: Mapping[str, bytes]) -> bytes:
    """A manifest of BagIt: the SHA-256 of files by their names, ascending."""
    return "".join(f"{hashes[path].hex()}  {path}\n" for path in sorted(hashes)).encode()


def parse_hashes(data: bytes) -> dict[str, bytes]:
    """The SHA-256 of files by their names, as :func:`format_hashes` writes them; FormatError for any other bytes."""
    hashes = {}
    for line in parse_lines(decode_utf8(data)):
        text, _, path = line.partition("  ")
        hashes[path] = parse_hex(text, 32)
    if format_hashes(hashes) != data:
        raise FormatError("a list of hashes of the bag is not in order")
    return hashes


def format_info(manifest: Mapping[str, Any], sizes_bytes: Collection[int]) -> bytes:
    """bag-info.txt of the export with this ``manifest``, whose files below data/ have these sizes.

    It says nothing that the manifest does not, because no signature is over it.
    """
    told = {
        "Bag-Software-Agent": "grantledger",
        "External-Identifier": manifest["export"],
        "External-Description": f"Export of the log {manifest['origin']}",
        "Internal-Sender-Identifier": manifest["case"],
        "Payload-Oxum": f"{sum(sizes_bytes)}.{len(sizes_bytes)}",
    }
    # What would begin another line would begin another tag.
    lines = [name + ": " + " ".join(value.splitlines()) + "\n" for name, value in told.items()]
    return encode_utf8("".join(lines))


def _is_commitment(value: object) -> bool:
    return isinstance(value, str) and _match_commitment(value) is not None
