"""The list of an obligation: exactly the deliveries concerned, never what was in them (section 5.3).

A line is canonical JSON (ledger format, section 1.1) about one delivery, without anybody's tag::

    {"attempt":1,"delivery":"d-1","endpoint":"wh-1","entries":[7,8],"event_type":"direct_message_events",
     "evidence":"definite","private":true,"started_at":1496318400000}

Lines stand in the order of the incident's frozen set. ``list_root`` is the RFC 6962 tree over the lines' bytes, so that one
line can be proven to be on the list, and an attestation says which list it is about by its root.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.core import canonical
from ledger.core.canonical import JsonValue
from ledger.core.merkle import Frontier, hash_leaf, plan_inclusion, root_of
from ledger.ports.incidents import ExposedDelivery
from ledger.ports.obligations import ListedDelivery


@dataclass(frozen=True, slots=True)
class LineProof:
    """That ``line`` is at ``place`` of a list of ``count`` lines with the root ``list_root``; hashes in hex."""

    place: int
    count: int
    line: str
    list_root: str
    hashes: tuple[str, ...]


def list_line(exposed: ExposedDelivery, place: int) -> ListedDelivery:
    """The line of ``exposed``, which is a delivery, at ``place`` of a list."""
    assert exposed.delivery is not None, "only deliveries are listed"
    members: dict[str, JsonValue | None] = {
        "attempt": exposed.attempt or 1,
        "delivery": exposed.delivery,
        "endpoint": exposed.endpoint,
        "entries": list(exposed.seqs),
        "event_type": exposed.event_type,
        "evidence": exposed.evidence,
        "private": exposed.private,
        "started_at": exposed.started_at_ms,
    }
    line = canonical.encode({name: value for name, value in members.items() if value is not None})
    return ListedDelivery(
        place, exposed.delivery, exposed.attempt or 1, exposed.account or "", line.decode("ascii")
    )


def list_root(lines: Iterable[ListedDelivery]) -> str:
    """The root (hex) over ``lines``, of which there is at least one."""
    return root_of(leaf_of(line) for line in lines).hex()


def leaf_of(line: ListedDelivery) -> bytes:
    """The leaf hash of a line."""
    return hash_leaf(line.line.encode("ascii"))


def prove_line(lines: Iterable[ListedDelivery], count: int, place: int) -> LineProof:
    """The proof that the line at ``place`` is on the list of ``count`` ``lines``, which are gone through once.

    However long the list is, only the proof is held of it. Raises ProofError where there is no such place.
    """
    plan = plan_inclusion(place, count)
    whole, proven = Frontier(), ""
    nodes = [(node.index << node.level, (node.index + 1) << node.level, Frontier()) for node in plan.nodes]
    for at, line in enumerate(lines):
        leaf = leaf_of(line)
        whole.append(leaf)
        if at == place:
            proven = line.line
        for start, end, part in nodes:
            if start <= at < end:
                part.append(leaf)
                break
    hashes = plan.compute([part.root() for _, _, part in nodes])
    return LineProof(place, count, proven, whole.root().hex(), tuple(one.hex() for one in hashes))
