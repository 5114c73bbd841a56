"""A follower over logs in memory, and what it finds in a shape that a verification's findings can be compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ledger.audit.findings import Finding
from ledger.audit.followed_sources import SourceCheck
from ledger.audit.following import LogFollower, Whose
from ledger.core.entries import decode_entry
from ledger.core.faults import FaultList
from ledger.engines.codec import MsgspecCodec
from ledger.engines.growth import LogGrowth
from ledger.engines.scan import GROUP_ENTRIES
from ledger.vault.ed25519 import is_signed
from tests.support.forged_logs import MemoryLog
from tests.support.log_world import ORIGIN, SIGNER


def start_following(
    entries: Sequence[bytes] = (),
    *,
    with_index: bool = False,
    processes: int = 1,
    group_entries: int = GROUP_ENTRIES,
    saved: Path | None = None,
) -> LogFollower:
    """A follower that has read nothing yet, or what was saved."""
    growth = LogGrowth(with_index=with_index, processes=processes, group_entries=group_entries, saved=saved)
    whose = Whose(
        ORIGIN, SIGNER.vkey(), with_index=with_index, sources=SourceCheck(SIGNER.verifier(), is_signed)
    )
    return LogFollower(whose, growth, MsgspecCodec(), MemoryLog(entries))


def follow(follower: LogFollower, entries: Sequence[bytes]) -> None:
    """Have the follower take in and judge the log of ``entries``."""
    source = MemoryLog(entries)
    while follower.tree.size < len(entries):
        fetched = follower.fetch(source, len(entries), FaultList())
        follower.take(fetched, len(entries))
    follower.finish()
    follower.judge()


def comparable(findings: Iterable[Finding]) -> list[str]:
    """Findings without the size that they were made at, in an order of their own."""
    return sorted(json.dumps(_row(finding), sort_keys=True) for finding in findings)


def _row(finding: Finding) -> dict[str, Any]:
    row = finding.to_json()
    row.pop("tree_size", None)
    return row


def save_and_load(
    follower: LogFollower, entries: Sequence[bytes], directory: Path, **options: Any
) -> LogFollower:
    """The follower as it comes back from what it kept."""
    follower.growth.save(directory)
    kept = json.loads(json.dumps(follower.to_json()))
    made = start_following(entries, saved=directory, **options)
    made.restore(kept, [(position, decode_entry(data).entry) for position, data in follower.state])
    made.state = follower.state
    return made
