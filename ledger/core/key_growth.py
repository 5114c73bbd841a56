"""What is new under a key since an earlier bundle about it (ledger format, section 1.4).

Two bundles that each prove something by themselves, of one key and log: the later one has to hold all that the earlier one
counted, unchanged and in the same places. A later bundle that is whole shows it by its entries, a page that begins where
the earlier one ended by the hashes beside it.
"""

from __future__ import annotations

from ledger.core.chain import leaf_hash
from ledger.core.completeness import CheckedCompleteness
from ledger.core.index import key_leaf_hash
from ledger.core.merkle import hash_node, root_of
from ledger.core.proof_files import CheckedFile
from ledger.errors import ProofError, UsageError


def check_growth(earlier: CheckedFile, later: CheckedFile) -> int:
    """How many entries ``later`` counts more than ``earlier``, two completeness bundles.

    Raises ProofError unless the later one continues the earlier one: CHECKPOINT_STALE where it is older,
    CHECKPOINT_INCONSISTENT where both are of one size and have two roots, HISTORY_CHANGED else.

    Raises UsageError where the two cannot be compared: other keys or logs, or a page that does not begin where the
    earlier bundle ended.
    """
    before, now = earlier.proven, later.proven
    if not isinstance(before, CheckedCompleteness) or not isinstance(now, CheckedCompleteness):
        raise UsageError("only two completeness bundles can be compared")
    if (before.key, _origin(before)) != (now.key, _origin(now)):
        raise UsageError("the earlier bundle is about another key, or of another log")
    if now.tree_size < before.tree_size or now.count < before.count:
        raise ProofError(
            f"the bundle is of the tree of size {now.tree_size} with {now.count} entries, the earlier one of "
            f"{before.tree_size} with {before.count}",
            "CHECKPOINT_STALE",
        )
    if now.tree_size == before.tree_size and _is_forked(before, now):
        raise ProofError(
            f"one key has signed two trees of {now.tree_size} entries: the two files are the evidence of a fork",
            "CHECKPOINT_INCONSISTENT",
        )
    is_whole = len(now.entries) == now.count
    has_news = now.count > before.count
    if has_news and not is_whole and now.first != before.count:
        raise UsageError(
            f"the earlier bundle counts {before.count} entries: ask for the page from place {before.count} on"
        )
    root = _root_before(now) if has_news else now.key_root
    if has_news and is_whole and before.count:
        shown = now.entries[: before.count]
        root = root_of([key_leaf_hash(item.seq, leaf_hash(item.entry)) for item in shown])
    if root != before.key_root:
        raise ProofError(
            f"the first {before.count} entries are not those of the earlier bundle", "HISTORY_CHANGED"
        )
    return now.count - before.count


def _origin(checked: CheckedCompleteness) -> str:
    return checked.checkpoint.checkpoint.origin


def _is_forked(one: CheckedCompleteness, other: CheckedCompleteness) -> bool:
    """Whether the two, of one size, have two roots, both signed by one key."""
    signers = [
        {(line.name, line.key_id) for line in checked.checkpoint.note.verified_signatures}
        for checked in (one, other)
    ]
    roots = {checked.checkpoint.checkpoint.root for checked in (one, other)}
    return len(roots) == 2 and bool(signers[0] & signers[1])


def _root_before(checked: CheckedCompleteness) -> bytes | None:
    """The root of the key's tree when it held the entries before the page and no others; None where there are none.

    The hashes left of a page that checks are the roots of the full subtrees of just that tree.
    """
    peaks = () if checked.page is None else checked.page.proof[: checked.first.bit_count()]
    root: bytes | None = None
    for peak in reversed(peaks):
        root = peak if root is None else hash_node(peak, root)
    return root
