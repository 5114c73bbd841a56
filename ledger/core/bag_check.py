"""Checks an export, with nothing but its files and what its reader brings along (exports, section 5.5).

In the order of what rests on what: the bag (every file there, none more, each with its hash), the signed statement over the
manifest and over who approved it, the manifest's own list of files, the checkpoint under the log's key, the index that it
seals, then the entries. Nothing here opens a file: :class:`Files` does.

A refusal is an exception, :func:`ledger.core.proof_files.code_of` gives its code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from ledger.core.bag import (
    BAG_TAGS,
    CHECKPOINT,
    COMPLETE,
    CUSTODY,
    DECLARATION,
    ENTRIES,
    FINDINGS,
    INCLUSION,
    INDEX,
    MANIFEST,
    OPENINGS,
    REDACTIONS,
    SIGNATURE,
    STATEMENT,
    STATEMENT_TYPE,
    TABLE,
    TAG_MANIFEST,
    TIMELINE,
    UNLISTED,
    commit_request,
    format_info,
    hash_query,
    parse_hashes,
    read_manifest,
)
from ledger.core.bag_entries import EntriesCheck
from ledger.core.bag_paths import check_paths
from ledger.core.canonical import decode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import OpenedCheckpoint, open_checkpoint
from ledger.core.completeness import MAP_PROOF, ROW, SealedIndex, _read_seal, parse_map_proof, parse_row
from ledger.core.dsse import format_envelope, parse_envelope
from ledger.core.export_filter import format_filter, is_narrowed, keys_of, stretch_of
from ledger.core.jcs import decode_file, encode_file
from ledger.core.map_proof import check_map_proof
from ledger.core.merkle import check_inclusion
from ledger.core.note import parse_vkey
from ledger.core.note_keys import CosignerKey, LogKey, VerifyEd25519
from ledger.core.shapes import ENTRY, HASH, read_shape, refused_as
from ledger.core.strict import shown
from ledger.errors import FormatError, ProofError, SignatureError

SEAL_LINE = {"index_sealed": {"entry": ENTRY, "index": int, "proof": [HASH]}}
KEY_LINE = {"key": str, "map_proof": MAP_PROOF, "row?": ROW}


class Files(Protocol):
    """The files of an export by their names: what each hashes to, and what is in them."""

    @property
    def digests(self) -> Mapping[str, tuple[bytes, int]]:
        """SHA-256 and size in bytes of every file that is there."""
        ...

    def read(self, path: str) -> bytes:
        """A short file's bytes; FormatError for one of more than a few megabytes."""
        ...

    def lines(self, path: str) -> Iterator[bytes]:
        """A file's lines without their line feeds; FormatError where the last one has none, or one is too long."""
        ...


@dataclass(frozen=True, slots=True)
class KnownBag:
    """What a reader brings along: the log's trusted key, export and SHA-256 of its manifest; ``is_draft`` before approval."""

    vkey: str | None = None
    export: str | None = None
    manifest: bytes | None = None
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class CheckedBag:
    """What an export shows; ``approved_by`` is None before approval, ``missing`` counts the gaps between the entries."""

    manifest: Mapping[str, Any]
    opened: OpenedCheckpoint
    map_size: int
    is_trusted: bool
    approved_by: str | None
    is_contiguous: bool
    first_seq: int


def check_bag(files: Files, known: KnownBag, verify: VerifyEd25519) -> CheckedBag:
    """Check the export whose files are ``files``; raises FormatError, SignatureError or ProofError where it does not hold."""
    manifest, key, approved_by = check_frame(files, known, verify)
    opened = check_checkpoint(files, manifest, key, verify)
    rows, map_size = read_index(files.lines(INDEX), opened, keys_of(manifest["filter"]))
    views = files.lines(TABLE), files.lines(FINDINGS), files.lines(TIMELINE)
    entries = EntriesCheck(
        manifest,
        opened.checkpoint,
        manifest["checkpoint"].encode(),
        map_size,
        files.lines(INCLUSION),
        views,
        files.lines(OPENINGS),
        files.lines(REDACTIONS),
    )
    entries.run(files.lines(ENTRIES))
    check_claims(manifest, rows, entries)
    for path in sorted(files.digests):
        entries.lists.check(path, files.lines(path), manifest["filter"])
    is_contiguous = entries.count == entries.last_seq - entries.first_seq + 1
    return CheckedBag(
        manifest, opened, map_size, known.vkey is not None, approved_by, is_contiguous, entries.first_seq
    )


def check_frame(
    files: Files, known: KnownBag, verify: VerifyEd25519
) -> tuple[Mapping[str, Any], LogKey, str | None]:
    """The manifest, the log's key and who approved, where every file is the approved one; raises as :func:`check_bag`.

    What the entries say is not looked at.
    """
    check_bagit(files)
    data = files.read(MANIFEST)
    manifest = read_manifest(data)
    if known.export is not None and manifest["export"] != known.export:
        raise ProofError(f"this is the export {shown(manifest['export'])}", "OTHER_EXPORT")
    key = LogKey(parse_vkey(manifest["vkey"]), verify)
    if known.vkey is not None and manifest["vkey"] != known.vkey:
        raise ProofError(
            f"the export is of the log key {shown(manifest['vkey'])}, not of the trusted one",
            "KEY_NOT_TRUSTED",
        )
    manifest_hash = sha256(data).digest()
    if known.manifest not in (None, manifest_hash):
        raise ProofError("export.json is not the one that was asked for", "MANIFEST_CHANGED")
    approved_by = None if known.is_draft else check_approval(files, manifest, manifest_hash, key)
    check_listed(files, manifest)
    sizes = [files.digests[path][1] for path in files.digests if path.startswith("data/")]
    if files.read("bag-info.txt") != format_info(manifest, sizes):
        raise ProofError("bag-info.txt says something else than export.json", "FILE_CHANGED")
    return manifest, key, approved_by


def check_bagit(files: Files) -> None:
    """Raise unless the files are a BagIt 1.0 bag with just the files that it lists, unchanged (RFC 8493, section 3)."""
    check_paths(files.digests)
    if not set(files.digests).issuperset((*BAG_TAGS, TAG_MANIFEST)) or files.read("bagit.txt") != DECLARATION:
        raise FormatError("this is no BagIt bag of version 1.0")
    tags, payload = parse_hashes(files.read(TAG_MANIFEST)), parse_hashes(files.read("manifest-sha256.txt"))
    if set(tags) != set(BAG_TAGS) or any(not path.startswith("data/") for path in payload):
        raise FormatError("the bag lists tag files or payload that it cannot have")
    listed = dict(payload, **tags)
    for path in sorted(set(files.digests).symmetric_difference([*listed, TAG_MANIFEST])):
        raise ProofError(f"{shown(path)} is missing, or is not listed", "FILE_UNLISTED")
    for path in sorted(listed):
        if files.digests[path][0] != listed[path]:
            raise ProofError(f"{path} was changed", "FILE_CHANGED")


def check_approval(files: Files, manifest: Mapping[str, Any], manifest_hash: bytes, key: LogKey) -> str:
    """Who approved this manifest; raises unless the log's key signed that, and two different people stand behind it."""
    if SIGNATURE not in files.digests or CUSTODY not in files.digests:
        raise ProofError("nobody has approved this export", "NOT_APPROVED")
    data = files.read(SIGNATURE)
    envelope = parse_envelope(decode_file(data))
    if encode_file(format_envelope(envelope, key.key_id.hex())) != data:
        raise FormatError("export.dsse.json names another key, or is not in the one form that it can have")
    statement = read_shape(envelope.statement, STATEMENT, "the signed statement")
    if envelope.payload_type != STATEMENT_TYPE or not key.verify(envelope.signed_bytes(), envelope.signature):
        raise SignatureError("the log's key did not sign this export")
    if (statement["manifest"], statement["export"]) != (manifest_hash, manifest["export"]):
        raise ProofError("export.json is not the one that was approved and signed", "MANIFEST_CHANGED")
    if statement["custody"] != files.digests[CUSTODY][0]:
        raise ProofError("custody.jsonl is not the one that was signed", "CUSTODY_CHANGED")
    entries = [decode(line) for line in files.lines(CUSTODY)]
    if len(entries) < 2:
        raise ProofError("custody.jsonl does not say who asked and who approved", "NOT_APPROVED")
    requested, approved = entries[0], entries[1]
    told = {
        "kind": "export.requested",
        "export": manifest["export"],
        "tree_size": manifest["tree_size"],
        "query": hash_query(format_filter(manifest["filter"])).hex(),
        "manifest": manifest_hash.hex(),
        "request": commit_request(
            manifest["salt"], manifest["requester"], manifest["case"], manifest["legal_basis"]
        ),
        "actor": manifest["created_by"],
    }
    decided = {
        "kind": "export.approved",
        "export": manifest["export"],
        "manifest": manifest_hash.hex(),
        "requested_by": requested.get("actor"),
        "actor": statement["approved_by"],
    }
    for entry, expected in ((requested, told), (approved, decided)):
        for name in sorted(expected):
            if entry.get(name) != expected[name]:
                raise ProofError(f"custody.jsonl says something else about {name}", "CUSTODY_CHANGED")
    if requested["actor"] != statement["requested_by"] or requested["actor"] == approved["actor"]:
        raise ProofError("the export was not approved by a second person", "NOT_APPROVED")
    return str(statement["approved_by"])


def check_listed(files: Files, manifest: Mapping[str, Any]) -> None:
    """Raise unless the manifest lists just the files below data/, with their sizes and hashes."""
    listed = {"data/" + item["path"]: (item["sha256"], item["bytes"]) for item in manifest["files"]}
    there = [path for path in files.digests if path.startswith("data/") and path not in UNLISTED]
    if len(listed) != len(manifest["files"]) or set(listed) != set(there):
        raise ProofError("export.json lists other files than there are", "FILE_UNLISTED")
    for path in sorted(listed):
        if files.digests[path] != listed[path]:
            raise ProofError(f"{path} is not the file that export.json lists", "FILE_CHANGED")


def check_checkpoint(
    files: Files, manifest: Mapping[str, Any], key: LogKey, verify: VerifyEd25519
) -> OpenedCheckpoint:
    """The checkpoint, opened; raises unless the log's key signed it, and each cosigner that is named."""
    note = manifest["checkpoint"].encode()
    if files.read(CHECKPOINT) != note:
        raise ProofError("proofs/checkpoint is not the checkpoint of export.json", "CHECKPOINT_CHANGED")
    cosigners = [CosignerKey(parse_vkey(text), verify) for text in manifest["cosigners"]]
    opened = open_checkpoint(note, manifest["origin"], [key, *cosigners])
    signed = {(line.name, line.key_id) for line in opened.note.verified_signatures}
    named = [(key.name, key.key_id), *[(one.name, one.key_id) for one in cosigners]]
    if signed != set(named):
        raise ProofError("a cosigner is named that has not cosigned", "SIGNATURE_UNKNOWN")
    tree = opened.checkpoint
    if (tree.size, tree.root) != (manifest["tree_size"], manifest["root"]):
        raise ProofError("export.json is about another tree than its checkpoint", "CHECKPOINT_CHANGED")
    return opened


def read_index(
    lines: Iterator[bytes], opened: OpenedCheckpoint, keys: list[str]
) -> tuple[dict[str, Any], int]:
    """The proven row of each of ``keys`` (None for an absent one), and how many entries the index is over."""
    first = read_shape(decode_file(next(lines, b"")), SEAL_LINE, "index.jsonl")["index_sealed"]
    sealed, tree = SealedIndex(**first), opened.checkpoint
    if sealed.index != tree.size - 1:
        raise ProofError(f"entry {sealed.index} is not the last entry of {tree.size}", "SEAL_STALE")
    with refused_as("INCLUSION_INVALID"):
        check_inclusion(sealed.proof, sealed.index, tree.size, leaf_hash(sealed.entry), tree.root)
    map_size, map_root = _read_seal(sealed)
    rows: dict[str, Any] = {}
    for line in lines:
        stated = decode_file(line)
        read_shape(stated, KEY_LINE, "index.jsonl")
        key, row = str(stated["key"]), stated.get("row")
        rows[key] = None if row is None else parse_row(as_object(row))
        with refused_as("MAP_PROOF_INVALID"):
            check_map_proof(key, parse_map_proof(as_object(stated["map_proof"])), rows[key], map_root)
    if sorted(rows) != keys:
        raise ProofError("index.jsonl is about other keys than the filter", "INDEX_OMISSION")
    return rows, map_size


def check_claims(manifest: Mapping[str, Any], rows: Mapping[str, Any], entries: EntriesCheck) -> None:
    """Raise unless the manifest's counts and claims are those of the entries, and no entry of a complete key is missing."""
    kinds = [{"kind": kind, "count": entries.kinds[kind]} for kind in sorted(entries.kinds)]
    stated = (list(manifest["kinds"]), manifest["entries"], manifest["at"], manifest["recorded_at"])
    if stated != (kinds, entries.count, entries.spans.get("at"), entries.spans.get("recorded_at")):
        raise ProofError("export.json counts other entries than there are", "COUNTS_WRONG")
    stretch = stretch_of(manifest["filter"], manifest["tree_size"])
    # Each of them is within the stretch, and none is there twice: so their number tells.
    if stretch is not None and entries.count != len(stretch):
        raise ProofError("these are not all entries that the filter selects", "INDEX_OMISSION")
    claims = {item["key"]: item for item in manifest["keys"]}
    if sorted(claims) != sorted(rows) or len(claims) != len(manifest["keys"]):
        raise ProofError("export.json claims something about other keys", "COUNTS_WRONG")
    for key in sorted(rows):
        row, seen, claim = rows[key], entries.keys[key], claims[key]
        recorded = 0 if row is None else row.count
        if (claim["recorded"], claim["shown"]) != (recorded, seen.count):
            raise ProofError(
                f"export.json counts other entries of {shown(key)} than there are", "COUNTS_WRONG"
            )
        if claim["claim"] != COMPLETE and is_narrowed(manifest["filter"]):
            continue
        is_whole = seen.count == recorded
        if row is not None and is_whole:
            is_whole = (seen.last_seq, seen.tree.root()) == (row.last_seq, row.key_root)
        if not is_whole:
            raise ProofError(f"these are not all entries recorded under {shown(key)}", "INDEX_OMISSION")


def as_object(value: object) -> dict[str, Any]:
    """``value`` where it is an object."""
    if not isinstance(value, dict):
        raise FormatError("index.jsonl is not what it has to be")
    return value
