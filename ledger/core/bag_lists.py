"""Lists that entries commit to and do not hold: an incident's finding set, what a developer has to delete (section 5.5).

``incident.assessed`` and ``obligation.opened`` state the RFC 6962 root over the lines of such a list. An export of an
incident holds the lines as files, and here they are held against the entries beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.core.export_filter import Filter, is_narrowed
from ledger.core.merkle import Frontier, hash_leaf
from ledger.errors import ProofError

FINDING_SET = "data/incident/findings.jsonl"
OBLIGATIONS, LIST = "data/obligations/", ".list.jsonl"


class StatedLists:
    """The roots that entries state as they go by; of an incident's finding sets the last one counts."""

    def __init__(self) -> None:
        self._roots: dict[str, object] = {}

    def add(self, wanted: Filter, members: Mapping[str, Any]) -> None:
        """Take note of the entry with ``members``, where it is about the incident that ``wanted`` asks for."""
        if wanted.incident is None or members.get("incident") != wanted.incident:
            return
        if members.get("kind") == "incident.assessed":
            self._roots[FINDING_SET] = members.get("findings_root")
        elif members.get("kind") == "obligation.opened":
            self._roots[f"{OBLIGATIONS}{members.get('obligation')}{LIST}"] = members.get("list_root")

    def check(self, path: str, lines: Iterable[bytes], wanted: Filter) -> None:
        """Raise ProofError where ``path`` is such a list, and its ``lines`` are not those that an entry states.

        Where bounds of ``wanted`` left the entry out, nothing is known about the list.
        """
        if path != FINDING_SET and not (path.startswith(OBLIGATIONS) and path.endswith(LIST)):
            return
        stated = self._roots.get(path)
        if stated is None and is_narrowed(wanted):
            return
        tree = Frontier()
        for line in lines:
            tree.append_subtree(0, hash_leaf(line))
        if stated != tree.root().hex():
            raise ProofError(f"{path} is not the list that an entry states the root of", "VIEW_MISMATCH")
