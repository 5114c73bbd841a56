"""Logs that are nothing but leaves: two of one name with another salt are a fork."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.core.add_checkpoint import AddCheckpoint, format_add_checkpoint
from ledger.core.checkpoint import Checkpoint, sign_checkpoint
from ledger.core.merkle import NodeId, hash_leaf, prove_consistency, root_of
from ledger.core.note import Signer


@dataclass(frozen=True)
class History:
    """The log of ``signer`` whose leaves are made from ``salt``; from ``forks_at`` on from another one."""

    salt: str
    signer: Signer
    forks_at: int | None = None

    def leaf_hashes(self, size: int) -> list[bytes]:
        return [hash_leaf(f"{self._salt_of(number)}/{number}".encode()) for number in range(size)]

    def _salt_of(self, number: int) -> str:
        is_other = self.forks_at is not None and number >= self.forks_at
        return f"other than {self.salt}" if is_other else self.salt

    def fork(self, at: int) -> History:
        """Another history that has the same first ``at`` leaves."""
        return History(self.salt, self.signer, at)

    def root(self, size: int) -> bytes:
        return root_of(self.leaf_hashes(size))

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(self.signer.name, size, self.root(size))

    def note(self, size: int) -> bytes:
        """The checkpoint, signed."""
        return sign_checkpoint(self.checkpoint(size), [self.signer])

    def prove(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes; nothing where there is nothing to prove."""
        if not 0 < old_size < size:
            return ()
        hashes = self.leaf_hashes(size)

        def read(nodes: Sequence[NodeId]) -> list[bytes]:
            return [
                root_of(hashes[node.index << node.level : (node.index + 1) << node.level]) for node in nodes
            ]

        return tuple(prove_consistency(old_size, size, read))

    def request(self, old_size: int, size: int) -> bytes:
        """The body of a request to a witness that has cosigned ``old_size`` last."""
        return format_add_checkpoint(AddCheckpoint(old_size, self.prove(old_size, size), self.note(size)))
