"""Files that prove something by themselves, and their check (ledger format, section 1.4; formats, section 4.5).

Three kinds, told apart by how they begin: a ``.tlog-proof`` (an entry stands in the log), and as JSON a completeness bundle
(all that is recorded about a key, or a page of it, or that nothing is) and a consistency bundle (the log has only grown).
Nothing here asks a log, a database or a network: what counts is the file, and what the reader brings along as
:class:`Known`.

No byte of a bundle can be changed unnoticed. It is the one canonical text of its members (:mod:`ledger.core.jcs`), and has
no member that is not read; the keys that it states are those whose signatures stand below its checkpoint, each once, and
each of them verifies. ``position`` repeats where the key lies in the map (hex), because one proof of absence fits other keys,
too. Stated keys make a file complete and are not trusted: without a known key a file shows only that it
fits together. A ``.tlog-proof`` holds its entry in the ``extra`` line; one without it is checked beside the entry's bytes.

A refusal is an exception; :func:`code_of` gives its code for programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ledger.core.canonical import JsonValue, decode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import OpenedCheckpoint
from ledger.core.completeness import (
    CheckedCompleteness,
    CompletenessBundle,
    check_parsed_completeness,
    format_completeness,
    parse_completeness,
)
from ledger.core.consistency import (
    CheckedConsistency,
    ConsistencyBundle,
    check_consistency_bundle,
    format_consistency,
    parse_consistency,
)
from ledger.core.index import key_position
from ledger.core.jcs import decode_file, encode_file
from ledger.core.note import Verifier, VerifierKey, parse_note, parse_vkey
from ledger.core.note_keys import CosignerKey, LogKey, VerifyEd25519
from ledger.core.shapes import read_shape, refused_as
from ledger.core.strict import shown
from ledger.core.tlog_proof import MAGIC, check_tlog_proof, parse_tlog_proof
from ledger.errors import FormatError, LedgerError, ProofError, SignatureError, UsageError

FILE_BYTES_MAX = 1 << 26
"""No file of more bytes is read: some 100,000 entries. What is read can take 25 times as much memory."""

_BUNDLE_MEMBERS = {"vkey", "cosigners", "checkpoint"}
_COMPLETENESS_MEMBERS = {"key", "index_sealed", "map_proof", "row", "entries", "page", "openings", "position"}
_CONSISTENCY_MEMBERS = {"old", "old_checkpoint", "proof"}


@dataclass(frozen=True, slots=True)
class Known:
    """What a reader brings along: the log's trusted key, the index key and the entry asked about, and cosigners.

    ``cosigners`` are vkeys, each of which has to have cosigned the checkpoint.
    """

    vkey: str | None = None
    key: str | None = None
    entry: bytes | None = None
    cosigners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """The entry with the canonical bytes ``entry`` stands at ``index`` of the log."""

    checkpoint: OpenedCheckpoint
    index: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What a file proves; ``is_trusted`` where its log's key is one that the reader brought along."""

    proven: CheckedEntry | CheckedCompleteness | CheckedConsistency
    is_trusted: bool


def check_proof_file(data: bytes, known: Known, verify: VerifyEd25519) -> CheckedFile:
    """Check the file ``data``; raises FormatError, SignatureError or ProofError where it proves nothing.

    Raises UsageError where the reader has to bring along more than that, or something that is none.
    """
    if len(data) > FILE_BYTES_MAX:
        raise FormatError(f"the file has more than {FILE_BYTES_MAX} bytes")
    asked = [_trusted_key(CosignerKey, text, verify) for text in sorted(set(known.cosigners))]
    if data.startswith(MAGIC.encode()):
        checked = _check_entry(data, known, asked, verify)
    elif "map_proof" in (bundle := decode_file(data)):
        checked = _check_completeness(bundle, known, verify)
    elif "proof" in bundle:
        checked = _check_consistency(bundle, known, verify)
    else:
        raise FormatError("the file is no proof of a kind that is known here")
    _check_asked(checked.proven, known, asked)
    return checked


def _check_asked(
    proven: CheckedEntry | CheckedCompleteness | CheckedConsistency, known: Known, asked: Sequence[Verifier]
) -> None:
    """Raise ProofError where ``proven`` is not of the kind that was asked about, or one of the ``asked`` has not cosigned."""
    kinds = (known.key, CheckedCompleteness, "OTHER_KEY"), (known.entry, CheckedEntry, "OTHER_ENTRY")
    # An older checkpoint may be in the file, too: it is this one that has to be cosigned.
    signed = {(line.name, line.key_id) for line in proven.checkpoint.note.verified_signatures}
    for wanted, kind, code in kinds:
        if wanted is not None and not isinstance(proven, kind):
            raise ProofError("the file is of another kind than was asked for", code)
    if {(key.name, key.key_id) for key in asked} - signed:
        raise ProofError("a cosigner asked for has not cosigned", "QUORUM_MISSING")


def encode_bundle(
    bundle: CompletenessBundle | ConsistencyBundle, vkey: str, cosigners: Mapping[tuple[str, bytes], str]
) -> bytes:
    """The file of ``bundle``, of the log with the key ``vkey``; ``cosigners`` are vkeys by key name and id.

    Of them the file states those that have signed a checkpoint in it.
    """
    if isinstance(bundle, CompletenessBundle):
        formatted, notes = format_completeness(bundle, vkey), [bundle.checkpoint]
        formatted["position"] = key_position(bundle.key).hex()
    else:
        formatted, notes = format_consistency(bundle, vkey), [bundle.checkpoint]
        notes += [bundle.old] if isinstance(bundle.old, bytes) else []
    lines = {(line.name, line.key_id) for note in notes for line in parse_note(note).signatures}
    stated: list[JsonValue] = [*sorted(text for line, text in cosigners.items() if line in lines)]
    return encode_file({**formatted, "cosigners": stated} if stated else formatted)


def code_of(error: LedgerError) -> str:
    """The code of a refusal."""
    other = "CHECKPOINT_SIGNATURE_INVALID" if isinstance(error, SignatureError) else "PROOF_MALFORMED"
    return error.code if isinstance(error, ProofError) else other


def _check_entry(data: bytes, known: Known, asked: Sequence[Verifier], verify: VerifyEd25519) -> CheckedFile:
    if known.vkey is None:
        raise UsageError("a .tlog-proof does not state the log's key: bring it along")
    proof = parse_tlog_proof(data)
    entry = known.entry if proof.extra is None else proof.extra
    if entry is None:
        raise UsageError("this .tlog-proof does not hold its entry: bring along the entry's bytes")
    if known.entry not in (None, entry):
        raise ProofError("the proof is about another entry than was asked for", "OTHER_ENTRY")
    log_key = _trusted_key(LogKey, known.vkey, verify)
    with refused_as("INCLUSION_INVALID"):
        opened = check_tlog_proof(proof, leaf_hash(entry), log_key.name, [log_key, *asked])
    seq = decode(entry).get("seq")
    if type(seq) is not int or seq != proof.index:
        raise ProofError("the entry states another seq", "ENTRY_MISPLACED")
    return CheckedFile(CheckedEntry(opened, proof.index, entry), True)


def _check_completeness(bundle: Mapping[str, object], known: Known, verify: VerifyEd25519) -> CheckedFile:
    keys = _stated_keys(bundle, _COMPLETENESS_MEMBERS, known, verify)
    parsed = parse_completeness(bundle)
    if bundle.get("position") != key_position(parsed.key).hex():
        raise ProofError("the position is not that of the key", "OTHER_KEY")
    _check_lines(keys, [parsed.checkpoint])
    checked = check_parsed_completeness(parsed, keys[0].name, keys, known.key)
    return CheckedFile(checked, known.vkey is not None)


def _check_consistency(bundle: Mapping[str, object], known: Known, verify: VerifyEd25519) -> CheckedFile:
    keys = _stated_keys(bundle, _CONSISTENCY_MEMBERS, known, verify)
    parsed = parse_consistency(bundle)
    _check_lines(
        keys, [parsed.checkpoint, parsed.old] if isinstance(parsed.old, bytes) else [parsed.checkpoint]
    )
    return CheckedFile(check_consistency_bundle(parsed, keys[0].name, keys), known.vkey is not None)


def _stated_keys(
    bundle: Mapping[str, object], members: set[str], known: Known, verify: VerifyEd25519
) -> list[Verifier]:
    """The keys that ``bundle`` states, the log's first, which is the known one where there is one."""
    if unknown := set(bundle) - _BUNDLE_MEMBERS - members:
        raise FormatError(f"the file has a member that is not known here: {shown(min(unknown))}")
    vkey = read_shape(bundle.get("vkey"), str, "vkey")
    log_key = LogKey(parse_vkey(vkey), verify)
    if known.vkey is not None and _trusted_key(LogKey, known.vkey, verify).key_id and vkey != known.vkey:
        raise ProofError(
            f"the bundle is of the log key {shown(vkey)}, not of the trusted one", "KEY_NOT_TRUSTED"
        )
    cosigners = read_shape(bundle.get("cosigners", []), [str], "cosigners")
    if "cosigners" in bundle and (not cosigners or sorted(set(cosigners)) != list(cosigners)):
        raise FormatError("cosigners are sorted, each there once, and left out where there are none")
    # As text: a key id is short enough for somebody to make another key that has it.
    if set(known.cosigners) - set(cosigners):
        raise ProofError("a cosigner asked for has not cosigned", "QUORUM_MISSING")
    return [log_key, *[CosignerKey(parse_vkey(text), verify) for text in cosigners]]


def _trusted_key(
    kind: Callable[[VerifierKey, VerifyEd25519], Verifier], vkey: str, verify: VerifyEd25519
) -> Verifier:
    try:
        return kind(parse_vkey(vkey), verify)
    except FormatError as error:
        raise UsageError(f"the key that was brought along is none: {error}") from None


def _check_lines(keys: Sequence[Verifier], notes: Sequence[bytes]) -> None:
    """Raise ProofError unless each signature of ``notes`` is of one of ``keys``, none twice, and each key has signed."""
    unused = {(key.name, key.key_id) for key in keys}
    for note in notes:
        left = {(key.name, key.key_id) for key in keys}
        for signature in parse_note(note).signatures:
            line = (signature.name, signature.key_id)
            if line not in left:
                raise ProofError(
                    f"a signature of {shown(signature.name)} is there twice, or its key not stated",
                    "SIGNATURE_UNKNOWN",
                )
            left.discard(line)
            unused.discard(line)
    if unused:
        raise ProofError("a key is stated that has not signed", "SIGNATURE_UNKNOWN")
