"""Completeness bundles: evidence that all that is recorded about a key is shown (ledger format, section 1.4).

A bundle is one JSON object::

    {"vkey": "...",                      the log's key as the server states it (optional, and never trusted)
     "checkpoint": "...",                the signed note, cosignatures included
     "key": "acct:a_...",
     "index_sealed": {"entry": "...", "index": 11, "proof": ["<hex>", ...]},
     "map_proof": {"present": true, "siblings": ["<hex>", ...],
                   "leaf": {"position": "<hex>", "value": "<hex>"}},
     "row": {"count": 2, "last_seq": 7, "key_root": "<hex>"},
     "entries": [{"seq": 6, "entry": "..."}, ...]}

``leaf`` is left out where none is met, ``row`` and ``entries`` where the key is absent; then the bundle
shows that nothing was recorded under the key. Hashes and proof elements are lower-case hex of 32 bytes,
entries are their exact bytes as text. Members of other names beside these seven are passed over, inside of
them they are refused.

What a checked bundle proves: the log's key signed a tree whose last entry, ``index.sealed``, states an
index in which exactly these entries carry the key below ``map_size``. That the index is the true one is
what auditors find out by replaying the log; whether witnesses cosigned as a policy wants is
:mod:`ledger.core.checkpoint`'s and the caller's question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.core.canonical import JsonValue, decode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import OpenedCheckpoint, open_checkpoint
from ledger.core.index import MAP_FN, KeyRow, index_keys, key_leaf_hash
from ledger.core.map_proof import MapLeaf, MapProof, check_map_proof
from ledger.core.merkle import HASH_BYTES, check_inclusion, root_of
from ledger.core.note import Verifier
from ledger.core.strict import INTEGER_MAX, encode_utf8, parse_hex, shown
from ledger.errors import FormatError, ProofError

KEY_FAMILIES = ("acct", "subj", "dev", "pair")
"""What stands before the colon of an index key."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One entry of a key: its ``seq`` and its exact canonical bytes."""

    seq: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class SealedIndex:
    """The bytes of ``index.sealed``, where it stands, and the path (32-byte hashes, upwards) to it."""

    entry: bytes
    index: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CompletenessBundle:
    """A bundle of which nothing is known to be true.

    ``checkpoint`` is the note's bytes; ``row`` is ``None``, and ``entries`` empty, for an absent key.
    """

    checkpoint: bytes
    key: str
    index_sealed: SealedIndex
    map_proof: MapProof
    row: KeyRow | None
    entries: tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True)
class CheckedCompleteness:
    """What a bundle proves, under the key that signed ``checkpoint``.

    Of the first ``map_size`` entries of the tree of ``tree_size`` entries, exactly the ``count``
    ``entries``, in order of ``seq``, carry ``key``; entries from ``map_size`` on are not covered.
    """

    key: str
    map_size: int
    tree_size: int
    count: int
    entries: tuple[KeyEntry, ...]
    checkpoint: OpenedCheckpoint


def check_completeness(
    bundle: Mapping[str, object], origin: str, verifiers: Iterable[Verifier], key: str | None = None
) -> CheckedCompleteness:
    """Check ``bundle``, as read from JSON, for the log ``origin`` and the known keys ``verifiers``.

    ``key`` is the index key that was asked for: a bundle about another one is refused. Without it the
    caller has to compare the key of the result. Raises :class:`~ledger.errors.FormatError` for another
    shape, :class:`~ledger.errors.SignatureError` for a checkpoint that the log's known key did not sign,
    and :class:`~ledger.errors.ProofError` for anything that does not prove what the bundle claims.
    """
    parsed = parse_completeness(bundle)
    if key is not None and parsed.key != key:
        raise ProofError(f"the bundle is about {shown(parsed.key)}, not about {shown(key)}")
    opened = open_checkpoint(parsed.checkpoint, origin, verifiers)
    tree_size = opened.checkpoint.size
    sealed = parsed.index_sealed
    if sealed.index != tree_size - 1:
        raise ProofError(
            f"index.sealed at {sealed.index} is not the last entry of the tree of size {tree_size}"
        )
    check_inclusion(sealed.proof, sealed.index, tree_size, leaf_hash(sealed.entry), opened.checkpoint.root)
    map_size, map_root = _read_seal(sealed)
    check_map_proof(parsed.key, parsed.map_proof, parsed.row, map_root)
    if parsed.row is not None:
        _check_entries(parsed.key, parsed.row, parsed.entries, map_size)
    return CheckedCompleteness(parsed.key, map_size, tree_size, len(parsed.entries), parsed.entries, opened)


def parse_completeness(bundle: Mapping[str, object]) -> CompletenessBundle:
    """Return ``bundle``, as read from JSON, as a value; FormatError for any other shape."""
    map_proof = parse_map_proof(_object(_member(bundle, "map_proof", "the bundle"), "map_proof"))
    present = map_proof.present
    for member in ("row", "entries"):
        if (member in bundle) != present:
            raise FormatError(f"{member} stands in a bundle exactly where the key is present")
    row = parse_row(_object(bundle["row"], "row")) if present else None
    entries = _parse_entries(bundle["entries"]) if present else ()
    return CompletenessBundle(
        encode_utf8(_text(_member(bundle, "checkpoint", "the bundle"), "checkpoint")),
        check_key(_text(_member(bundle, "key", "the bundle"), "key")),
        _parse_sealed(_object(_member(bundle, "index_sealed", "the bundle"), "index_sealed")),
        map_proof,
        row,
        entries,
    )


def format_completeness(bundle: CompletenessBundle, vkey: str) -> dict[str, JsonValue]:
    """Return the JSON object of ``bundle``, which states ``vkey`` as the log's key."""
    sealed = bundle.index_sealed
    formatted: dict[str, JsonValue] = {
        "vkey": vkey,
        "checkpoint": bundle.checkpoint.decode(),
        "key": bundle.key,
        "index_sealed": {
            "entry": sealed.entry.decode(),
            "index": sealed.index,
            "proof": [path_hash.hex() for path_hash in sealed.proof],
        },
        "map_proof": format_map_proof(bundle.map_proof),
    }
    if bundle.row is not None:
        formatted["row"] = format_row(bundle.row)
        formatted["entries"] = [{"seq": item.seq, "entry": item.entry.decode()} for item in bundle.entries]
    return formatted


def parse_map_proof(members: Mapping[str, object]) -> MapProof:
    """Return the map proof that ``members`` write: ``present``, ``siblings``, ``leaf`` where one is met."""
    _check_members(members, "map_proof", {"present", "siblings"}, {"leaf"})
    present = members["present"]
    if not isinstance(present, bool):
        raise FormatError("present is not true or false")
    leaf = None
    if "leaf" in members:
        leaf_members = _object(members["leaf"], "leaf")
        _check_members(leaf_members, "leaf", {"position", "value"})
        leaf = MapLeaf(_hash(leaf_members["position"], "position"), _hash(leaf_members["value"], "value"))
    return MapProof(present, _hashes(members["siblings"], "siblings"), leaf)


def format_map_proof(proof: MapProof) -> dict[str, JsonValue]:
    """Return the JSON object of ``proof``, as :func:`parse_map_proof` reads it."""
    formatted: dict[str, JsonValue] = {
        "present": proof.present,
        "siblings": [sibling.hex() for sibling in proof.siblings],
    }
    if proof.leaf is not None:
        formatted["leaf"] = {"position": proof.leaf.position.hex(), "value": proof.leaf.value.hex()}
    return formatted


def parse_row(members: Mapping[str, object]) -> KeyRow:
    """Return the row that ``members`` write: ``count``, ``last_seq`` and ``key_root``."""
    _check_members(members, "row", {"count", "last_seq", "key_root"})
    return KeyRow(
        _integer(members["count"], "count"),
        _integer(members["last_seq"], "last_seq"),
        _hash(members["key_root"], "key_root"),
    )


def format_row(row: KeyRow) -> dict[str, JsonValue]:
    """Return the JSON object of ``row``, as :func:`parse_row` reads it."""
    return {"count": row.count, "last_seq": row.last_seq, "key_root": row.key_root.hex()}


def check_key(key: str) -> str:
    """Return ``key`` if an entry could carry it; else FormatError.

    A misspelt key is absent from every map, so that its absence would prove nothing that anyone meant to ask.
    """
    family, colon, rest = key.partition(":")
    if family not in KEY_FAMILIES or not colon or not rest or not (key.isascii() and key.isprintable()):
        raise FormatError(f"{shown(key)} is not an index key")
    return key


def _read_seal(sealed: SealedIndex) -> tuple[int, bytes]:
    """Return ``map_size`` and ``map_root`` of the ``index.sealed`` entry."""
    members = decode(sealed.entry)
    if members.get("kind") != "index.sealed":
        raise ProofError(f"the last entry of the tree is {shown(str(members.get('kind')))}, not index.sealed")
    seq, map_fn = members.get("seq"), members.get("map_fn")
    if type(seq) is not int or seq != sealed.index:
        raise ProofError("index.sealed states another seq than the one where it stands")
    if type(map_fn) is not int or map_fn != MAP_FN:
        raise ProofError("the index is made by another function than version 1")
    map_size = _integer(members.get("map_size"), "map_size")
    if not 1 <= map_size <= seq:
        raise ProofError(f"index.sealed at {seq} states an index over {map_size} entries")
    return map_size, _hash(members.get("map_root"), "map_root")


def _check_entries(key: str, row: KeyRow, entries: tuple[KeyEntry, ...], map_size: int) -> None:
    """Check that ``entries`` are the whole of the tree that ``row`` states for ``key``."""
    if len(entries) != row.count:
        raise ProofError(f"{len(entries)} entries are shown, {row.count} are recorded under {shown(key)}")
    previous = -1
    leaves = []
    for item in entries:
        if not previous < item.seq < map_size:
            raise ProofError(f"entry {item.seq} is out of order or not below {map_size}")
        members = decode(item.entry)
        stated = members.get("seq")
        if type(stated) is not int or stated != item.seq:
            raise ProofError(f"entry {item.seq} states another seq")
        if key not in index_keys(members):
            raise ProofError(f"entry {item.seq} does not carry {shown(key)}")
        leaves.append(key_leaf_hash(item.seq, leaf_hash(item.entry)))
        previous = item.seq
    if previous != row.last_seq:
        raise ProofError(f"the last entry is {previous}, not {row.last_seq}")
    if root_of(leaves) != row.key_root:
        raise ProofError(f"the entries are not those recorded under {shown(key)}: another key root")


def _parse_sealed(members: Mapping[str, object]) -> SealedIndex:
    _check_members(members, "index_sealed", {"entry", "index", "proof"})
    return SealedIndex(
        _entry(members["entry"]), _integer(members["index"], "index"), _hashes(members["proof"], "proof")
    )


def _parse_entries(value: object) -> tuple[KeyEntry, ...]:
    entries = []
    for item in _list(value, "entries"):
        members = _object(item, "an entry")
        _check_members(members, "an entry", {"seq", "entry"})
        entries.append(KeyEntry(_integer(members["seq"], "seq"), _entry(members["entry"])))
    return tuple(entries)


def _check_members(
    members: Mapping[str, object], what: str, needed: set[str], optional: set[str] | None = None
) -> None:
    names = set(members)
    if missing := needed - names:
        raise FormatError(f"{what} is without {', '.join(sorted(missing))}")
    if names - needed - (optional or set()):
        raise FormatError(f"{what} has members that it cannot have")


def _member(members: Mapping[str, object], name: str, what: str) -> object:
    if name not in members:
        raise FormatError(f"{what} is without {name}")
    return members[name]


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not an object")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise FormatError(f"{what} is not a list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise FormatError(f"{what} is not a text")
    return value


def _integer(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise FormatError(f"{what} is not an integer from 0 to 2^53 - 1")
    return value


def _hash(value: object, what: str) -> bytes:
    return parse_hex(_text(value, what), HASH_BYTES)


def _hashes(value: object, what: str) -> tuple[bytes, ...]:
    return tuple(_hash(item, what) for item in _list(value, what))


def _entry(value: object) -> bytes:
    text = _text(value, "an entry")
    if not text.isascii():
        raise FormatError("an entry is not ASCII")
    return text.encode()
