"""What the portable checker says about an export: the second of its two files, for directories (exports, section 5.5)."""

from __future__ import annotations

import sys

from ledger.core.bag_check import CheckedBag, KnownBag, check_bag
from ledger.core.proof_files import code_of
from ledger.core.strict import shown
from ledger.errors import LedgerError
from ledger.portable.bag_files import DirectoryFiles
from ledger.portable.command import escape
from ledger.portable.ed25519 import verify_ed25519

LIMITS = (
    "That what an entry says is true, or that all that happened was recorded.",
    "That the index which the log signed is the true one: auditors and monitors find out, who replay the log.",
    "That everybody is shown this same log: compare the checkpoint with the one that others hold.",
    "That a filter by kind, time or incident left nothing out: keys that are counted, and stretches of the log, show that.",
    "What others than the log say (the incident's documents, states of obligations, README): it is what was approved.",
)


def check_directory(name: str, vkey: str | None) -> int:
    """Check the export in the directory ``name`` under the log key ``vkey``, say what it shows; the exit status."""
    try:
        checked = check_bag(DirectoryFiles(name), KnownBag(vkey), verify_ed25519)
    except OSError as error:
        sys.stderr.write(escape(f"error: {error}\n"))
        return 2
    except LedgerError as error:
        sys.stdout.write(escape(f"NOT PROVEN: {code_of(error)}: {error}\n"))
        return 1
    verdict = "PROVEN" if checked.is_trusted else "NOT CHECKED AGAINST A TRUSTED KEY, only self-consistent"
    lines = [verdict, "This shows:", *tell_bag(checked), "It does not show:", *LIMITS]
    sys.stdout.write(escape("\n".join(lines) + "\n"))
    return 0


def tell_bag(checked: CheckedBag) -> list[str]:
    """What the export shows, in sentences."""
    told, tree = checked.manifest, checked.opened.checkpoint
    count = told["entries"]
    lines = [
        f"The export {told['export']} for {shown(told['requester'])}, made by {told['created_by']}.",
        f"Every file is the one that {checked.approved_by} approved and the log's key signed.",
        f"{count} entries stand, to the byte, in the log {tree.origin} of {tree.size} entries (root {tree.root.hex()}).",
    ]
    if checked.is_contiguous and count:
        lines.append(
            f"They are all entries from {checked.first_seq} to {checked.first_seq + count - 1}, none left out."
        )
    for item in told["keys"]:
        about, recorded, here = item["key"], item["recorded"], item["shown"]
        if recorded == here:
            lines.append(
                f"Of the first {checked.map_size} entries exactly {recorded} are about {about}, and all are here."
            )
        else:
            lines.append(
                f"Of the first {checked.map_size} entries {recorded} are about {about}; the filter left {here}."
            )
    lines.append("The tables of entries, findings and grants say what the entries say, line by line.")
    lines.append("Each commitment is opened, and fits, or is listed as withheld.")
    return lines
