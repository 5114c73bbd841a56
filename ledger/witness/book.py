"""What a witness knows, in a database of its own: keys of logs, the last checkpoint that it cosigned of each, evidence.

A write is durable when the method returns. The guard of :meth:`WitnessBook.move` stands in its statement: of any number of
requests, threads or processes that start from one state, exactly one moves it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine, text

from ledger.core.fork_evidence import ForkEvidence, format_fork_evidence
from ledger.core.note import parse_vkey
from ledger.store.engine import begin_query, begin_write
from ledger.witness.tables import WitnessTable

EVIDENCE_MAX = 100
"""Of one log: one is enough, and only the log itself can make more that are forks."""
UNEXPLAINED_MAX = EVIDENCE_MAX // 2
"""So many of one log may be evidence without a fork in it: anybody makes that of a newer checkpoint and a proof of nothing,
and must not fill the place where a fork is kept."""
_NAME_DIGITS = 32

_ADD_KEY = text(
    "INSERT INTO witness_keys (vkey, origin, added_at) VALUES (:vkey, :origin, :added_at) ON CONFLICT DO NOTHING"
)
_KEYS = text("SELECT vkey FROM witness_keys WHERE origin = :origin ORDER BY added_at, vkey")
_ORIGINS = text("SELECT DISTINCT origin FROM witness_keys ORDER BY origin")
_LOAD = text("SELECT size, root, cosigned_at, note FROM witness_cosigned WHERE origin = :origin")
_BEGIN = text(
    "INSERT INTO witness_cosigned (origin, size, root, cosigned_at, note) "
    "VALUES (:origin, :size, :root, :cosigned_at, :note) ON CONFLICT DO NOTHING"
)
_MOVE = text(
    "UPDATE witness_cosigned SET size = :size, root = :root, cosigned_at = :cosigned_at, note = :note "
    "WHERE origin = :origin AND size = :old_size AND root = :old_root AND cosigned_at <= :cosigned_at"
)
_KEEP = text(
    "INSERT INTO witness_evidence (name, origin, seen_at, data) SELECT :name, :origin, :seen_at, :data "
    "WHERE (SELECT COUNT(*) FROM witness_evidence WHERE origin = :origin) < :most ON CONFLICT DO NOTHING"
)
_EVIDENCE = text("SELECT name, origin, seen_at, data FROM witness_evidence ORDER BY number")
_EVIDENCE_NAMED = text("SELECT name, origin, seen_at, data FROM witness_evidence WHERE name = :name")


class Cosigned(NamedTuple):
    """The state of a log as it was cosigned last; ``note`` is the checkpoint with the log's signatures alone."""

    size: int
    root: bytes
    cosigned_at_s: int
    note: bytes


class KeptEvidence(NamedTuple):
    """Evidence as it is kept: ``data`` is what :func:`ledger.core.fork_evidence.format_fork_evidence` writes."""

    name: str
    origin: str
    seen_at_s: int
    data: bytes


def _no_step(step: str) -> None:
    """Pass by: outside tests nothing happens between two steps."""


class WitnessBook:
    """The book on ``engine``; safe from any number of threads. ``reached`` is called at each named step of a write."""

    def __init__(self, engine: Engine, reached: Callable[[str], None] = _no_step) -> None:
        """Use ``engine``, whose tables :meth:`make` has made."""
        self._engine = engine
        self._reached = reached

    def make(self) -> None:
        """Make the tables that are not there."""
        with begin_write(self._engine, "making the witness's tables") as connection:
            WitnessTable.metadata.create_all(connection)

    def add_key(self, vkey: str, now_s: int) -> bool:
        """Trust ``vkey`` for the log that it names; whether that is new."""
        values = {"vkey": vkey, "origin": parse_vkey(vkey).name, "added_at": now_s}
        with begin_write(self._engine, "adding a log") as connection:
            return connection.execute(_ADD_KEY, values).rowcount == 1

    def keys(self, origin: str) -> list[str]:
        """The keys trusted for the log ``origin``, oldest first; none where it is not known."""
        with begin_query(self._engine, "reading the keys of a log") as connection:
            return list(connection.execute(_KEYS, {"origin": origin}).scalars())

    def origins(self) -> list[str]:
        """The logs that are known, in order of their names."""
        with begin_query(self._engine, "reading the known logs") as connection:
            return list(connection.execute(_ORIGINS).scalars())

    def load(self, origin: str) -> Cosigned | None:
        """What was cosigned last of the log ``origin``, or None."""
        with begin_query(self._engine, "reading what was cosigned last") as connection:
            row = connection.execute(_LOAD, {"origin": origin}).first()
        return None if row is None else Cosigned(*row)

    def move(self, origin: str, before: Cosigned | None, after: Cosigned) -> bool:
        """Replace what was cosigned last, ``before``, by ``after``; False, and nothing changes, where it is another by now.

        A state that was cosigned at a later time than ``after`` says is another one, too.
        """
        values = {
            "origin": origin,
            "size": after.size,
            "root": after.root,
            "cosigned_at": after.cosigned_at_s,
            "note": after.note,
        }
        with begin_write(self._engine, "moving what was cosigned last") as connection:
            self._reached("witness.moving")
            if before is None:
                moved = connection.execute(_BEGIN, values)
            else:
                guard = {"old_size": before.size, "old_root": before.root}
                moved = connection.execute(_MOVE, values | guard)
            is_moved = moved.rowcount == 1
            # Dying here changes nothing: the transaction was never committed, and nobody has a cosignature.
            self._reached("witness.moved")
        # Dying here leaves a state that nobody was told of: the log asks again, and is told this size.
        self._reached("witness.persisted")
        return is_moved

    def keep(self, origin: str, evidence: ForkEvidence, *, is_fork: bool) -> str:
        """Keep ``evidence`` against the log ``origin``, which was cosigned before; the name that it goes by.

        ``is_fork`` says that its two checkpoints are of one size. Of the same two only the first stays, and of one log no
        more than ``EVIDENCE_MAX``, or once there are ``UNEXPLAINED_MAX`` only forks.
        """
        pair = evidence.known + b"\x00" + evidence.shown
        name = hashlib.sha256(pair).hexdigest()[:_NAME_DIGITS]
        values = {
            "name": name,
            "origin": origin,
            "seen_at": evidence.seen_at_s,
            "data": format_fork_evidence(evidence),
            "most": EVIDENCE_MAX if is_fork else UNEXPLAINED_MAX,
        }
        with begin_write(self._engine, "keeping evidence") as connection:
            connection.execute(_KEEP, values)
        self._reached("witness.evidence_kept")
        return name

    def evidence(self) -> list[KeptEvidence]:
        """All evidence, in the order in which it came."""
        with begin_query(self._engine, "reading evidence") as connection:
            return [KeptEvidence(*row) for row in connection.execute(_EVIDENCE)]

    def evidence_named(self, name: str) -> KeptEvidence | None:
        """The evidence of that name, or None."""
        with begin_query(self._engine, "reading evidence") as connection:
            row = connection.execute(_EVIDENCE_NAMED, {"name": name}).first()
        return None if row is None else KeptEvidence(*row)
