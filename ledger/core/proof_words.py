"""What a checked file shows and what it does not, in sentences for people, and as members for programs.

The limits are part of the answer: whoever reads that a proof holds has to read beside it what it leaves open.
"""

from __future__ import annotations

from ledger.core.canonical import JsonValue
from ledger.core.completeness import CheckedCompleteness
from ledger.core.consistency import CheckedConsistency
from ledger.core.proof_files import CheckedEntry, CheckedFile

NO_KEY = "Whose log this is: no trusted key was brought along, and anybody can make a file that agrees with itself."
TRUE_ENTRY = "That what an entry says is true."
ONE_LOG = "That everybody is shown this same log: compare the checkpoint with the one that others hold."
NOT_RECORDED = "That all that happened was recorded: receipts, egress counts and planted items look for that."
TRUE_INDEX = (
    "That the index which the log signed is the true one: auditors and monitors find out, who replay the log."
)


def tell_shown(file: CheckedFile) -> list[str]:
    """What ``file`` shows."""
    proven, checkpoint = file.proven, file.proven.checkpoint.checkpoint
    where = f"the log {checkpoint.origin} of {checkpoint.size} entries (root {checkpoint.root.hex()})"
    if isinstance(proven, CheckedEntry):
        return [f"Entry {proven.index} of {where} is exactly this one: {proven.entry.decode()}"]
    if isinstance(proven, CheckedConsistency):
        signed = (
            "which its key signed, too"
            if proven.is_old_signed
            else "which is to be compared with one that is known"
        )
        return [
            f"The first {proven.old.size} entries of {where} are those with the root {proven.old.root.hex()}, {signed}."
        ]
    opened = [f"{item.field} of entry {item.seq} commits to {item.value!a}." for item in proven.openings]
    return [f"Of the first {proven.map_size} entries of {where}, {_counted(proven)}.", *opened]


def tell_limits(file: CheckedFile) -> list[str]:
    """What ``file`` does not show."""
    unknown = [] if file.is_trusted else [NO_KEY]
    if not isinstance(file.proven, CheckedCompleteness):
        return [*unknown, TRUE_ENTRY, ONE_LOG]
    return [*unknown, f"Anything from entry {file.proven.map_size} on.", NOT_RECORDED, TRUE_INDEX, ONE_LOG]


def key_in_words(key: str) -> str:
    """Whom the index key ``key`` is about."""
    family, _, name = key.partition(":")
    if family == "pair":
        return "the account {} together with the developer {}".format(*name.split(":", 1))
    return {"acct": "the account ", "subj": "the person ", "dev": "the developer "}[family] + name


def _counted(proven: CheckedCompleteness) -> str:
    about = key_in_words(proven.key)
    if proven.count == 0:
        return f"none concerns {about}: nothing is recorded about that, no grant and no delivery"
    last = proven.first + len(proven.entries)
    shown = (
        "all of them are"
        if len(proven.entries) == proven.count
        else f"number {proven.first + 1} to {last} of them are"
    )
    return f"exactly {proven.count} concern {about}; {shown} in this file, none left out, none changed"


def describe(file: CheckedFile) -> dict[str, JsonValue]:
    """The object that a check prints for programs; ``shows`` and ``does_not_show`` are its sentences for people."""
    proven = file.proven
    checkpoint = proven.checkpoint.checkpoint
    told: dict[str, JsonValue] = {
        "proven": True,
        "key_trusted": file.is_trusted,
        "origin": checkpoint.origin,
        "tree_size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }
    if isinstance(proven, CheckedEntry):
        told |= {"kind": "entry", "seq": proven.index, "entry": proven.entry.decode()}
    elif isinstance(proven, CheckedConsistency):
        told |= {"kind": "consistency", "old_size": proven.old.size, "old_root": proven.old.root.hex()}
        told["old_signed"] = proven.is_old_signed
    else:
        told |= {
            "kind": "completeness",
            "key": proven.key,
            "map_size": proven.map_size,
            "count": proven.count,
        }
        told |= {"first": proven.first, "shown": len(proven.entries), "openings": len(proven.openings)}
    return told | {"shows": [*tell_shown(file)], "does_not_show": [*tell_limits(file)]}
