"""What somebody was shown, held against the log itself (ledger format, section 1.4; verdict rules, section 2.3).

A completeness bundle proves what the *signed index* says of a key. Whoever holds one and reads the whole log finds out
whether that is the truth: which entries below the bundle's ``map_size`` carry the key follows from their bytes alone.
Where the index that was signed leaves one out, or counts one that is not there, it is ``INDEX_OMISSION``: the bundle, with
the log's signature, is the evidence. ``MAP_ROOT_MISMATCH`` says of a seal that it lies, this says to whom and about what.

A bundle whose checkpoint the log contradicts is told by the checkpoint itself (:mod:`ledger.audit.signed_state`), and is not
compared: it is about other entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.audit.structure import Structure
from ledger.core.canonical import decode
from ledger.core.chain import leaf_hash
from ledger.core.completeness import CheckedCompleteness
from ledger.core.faults import FaultList
from ledger.core.index import index_keys, key_leaf_hash
from ledger.core.merkle import EMPTY_ROOT, root_of
from ledger.errors import FormatError
from ledger.ports import LogSource

BLOCK_ENTRIES = 4_096


@dataclass(frozen=True, slots=True)
class ShownBundle:
    """A bundle that was checked under the log's key; ``where`` says which, ``note`` is its checkpoint."""

    where: str
    note: bytes
    proven: CheckedCompleteness


def check_bundles(
    bundles: Sequence[ShownBundle], source: LogSource, structure: Structure, faults: FaultList
) -> list[str]:
    """Compare each of ``bundles`` with the entries of ``source``; notes about those that say nothing of this log.

    ``INDEX_OMISSION`` at each entry that the bundle's index leaves out, or counts and the log does not have.
    """
    notes = []
    comparable = []
    for one in bundles:
        checkpoint = one.proven.checkpoint.checkpoint
        if structure.root_at(checkpoint.size) == checkpoint.root:
            comparable.append(one)
        else:
            notes.append(f"{one.where} is not about this log as it is: its index was not compared")
    found = _collect(comparable, source)
    for one in comparable:
        _compare(one, found[one.proven.key], faults)
    return notes


def _collect(bundles: Sequence[ShownBundle], source: LogSource) -> dict[str, dict[int, bytes]]:
    """Which entries carry each key of ``bundles``, by their bytes alone: the leaf hash of each by seq."""
    found: dict[str, dict[int, bytes]] = {one.proven.key: {} for one in bundles}
    # The last part of a key stands in every entry that carries it: most entries are not even decoded.
    parts = [(key, key.rpartition(":")[2].encode()) for key in found]
    end = max((one.proven.map_size for one in bundles), default=0)
    for first in range(0, end, BLOCK_ENTRIES):
        for seq, data in enumerate(source.read_block(first, min(BLOCK_ENTRIES, end - first)).entries, first):
            wanted = [key for key, part in parts if part in data]
            if not wanted:
                continue
            try:
                keys = index_keys(decode(data))
            except FormatError:
                continue  # what is malformed has no keys
            for key in wanted:
                if key in keys:
                    found[key][seq] = leaf_hash(data)
    return found


def _compare(bundle: ShownBundle, carrying: dict[int, bytes], faults: FaultList) -> None:
    proven = bundle.proven
    real = {seq: leaf for seq, leaf in carrying.items() if seq < proven.map_size}
    root = root_of([key_leaf_hash(seq, leaf) for seq, leaf in sorted(real.items())]) if real else EMPTY_ROOT
    if (proven.count, proven.key_root or EMPTY_ROOT) == (len(real), root):
        return
    by = f"the index signed with the checkpoint over {proven.tree_size} entries, in {bundle.where}"
    if len(proven.entries) == proven.count:
        shown = {item.seq: leaf_hash(item.entry) for item in proven.entries}
        for seq in sorted(real.keys() - shown.keys()):
            faults.tell(seq, "INDEX_OMISSION", f"{by}, leaves this entry out of {proven.key}")
        for seq in sorted(seq for seq, leaf in shown.items() if real.get(seq) != leaf):
            faults.tell(
                seq, "INDEX_OMISSION", f"{by}, counts an entry of {proven.key} here that is not there"
            )
        return
    text = f"{by}, counts {proven.count} entries of {proven.key}, the log has {len(real)}, or others"
    faults.tell(proven.tree_size - 1, "INDEX_OMISSION", text)
