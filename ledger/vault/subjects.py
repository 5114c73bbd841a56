"""Who is behind a tag: ids, tags and subject keys, sealed in SQL (ledger format, section 1.2).

Implements :class:`ledger.ports.Vault`. A row is found by a keyed hash of the id and opened with the operator's key;
the tag inside the seal must be the row's own, so that nobody can swap two people by editing the database. What a row
says never changes. Erasing destroys the row and leaves a suppression mark, a hash under another derived key.

Rules kept here:

- One id has one tag, whoever mints it: the row's key is unique in the database, a second writer's row is dropped by
  the statement itself, and what is returned is always read back from the transaction that committed.
- Nobody is minted while somebody is erased. SQLite lets one write at a time anyway; on PostgreSQL minting shares an
  advisory lock that erasing has for itself, because a mint that runs beside an erasure would see neither its mark nor
  that the row is gone, and because erasures are counted by their numbers, which must become visible in order.
- Minting is durable before a tag is returned. A tag that no entry ever uses, because the process died or the record
  was refused, is harmless.
- The vault is bound to the key that minted its first tag; with another key every id would quietly get a second tag.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from operator import itemgetter
from typing import Any

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from sqlalchemy import Connection, Engine, TextClause, bindparam, text
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import RejectedError, SettingsError, StoreError
from ledger.ports import Randomness, Subject
from ledger.vault.commitments import KEY_BYTES, derive
from ledger.vault.tables import ErasedRow, SubjectRow, VaultKeyRow

__all__ = ["ERASED", "ErasedRow", "SqlVault", "SubjectRow", "VaultKeyRow"]

ERASED = "the person behind this id was erased: no new tag is given to it"

TAG_BYTES = 16
KEYS_PER_STATEMENT = 500
SUBJECTS_KEPT_MAX = 200_000

_TAG_CHARACTERS = 2 + 2 * TAG_BYTES

_INSERT_KEY_CHECK = text(
    "INSERT INTO vault_key (id, key_check) VALUES (1, :key_check) ON CONFLICT (id) DO NOTHING"
)
_SELECT_KEY_CHECK = text("SELECT key_check FROM vault_key WHERE id = 1")
_INSERT_SUBJECT = text(
    "INSERT INTO vault_subjects (lookup, tag, sealed) SELECT :lookup, :tag, :sealed "
    "WHERE NOT EXISTS (SELECT 1 FROM vault_erased WHERE mark = :mark) ON CONFLICT (lookup) DO NOTHING"
)
_SELECT_BY_LOOKUP = "SELECT lookup, tag, sealed FROM vault_subjects WHERE lookup"
_SELECT_BY_TAG = "SELECT lookup, tag, sealed FROM vault_subjects WHERE tag"
_SELECT_MARKS = "SELECT mark FROM vault_erased WHERE mark"
_SELECT_LAST_ERASURE = text("SELECT COALESCE(MAX(number), 0) FROM vault_erased")
_INSERT_MARK = text("INSERT INTO vault_erased (mark) VALUES (:mark) ON CONFLICT (mark) DO NOTHING")
_DELETE_SUBJECT = text("DELETE FROM vault_subjects WHERE lookup = :lookup")

_LOCK = int.from_bytes(b"glvault")
_SHARE_LOCK = text("SELECT pg_advisory_xact_lock_shared(:lock)").bindparams(lock=_LOCK)
_TAKE_LOCK = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=_LOCK)


class SqlVault:
    """A :class:`~ledger.ports.Vault` in the tables of :mod:`ledger.vault.tables`, under the 32-byte ``operator_key``.

    Safe for use from any number of threads and processes. Subjects are remembered in memory up to a bound and
    forgotten whenever anybody has been erased since.
    """

    def __init__(
        self,
        engine: Engine,
        operator_key: bytes,
        randomness: Randomness,
        explain: Callable[[BaseException], str],
    ) -> None:
        """Use ``engine``, whose tables the migrations have made; connects to nothing yet.

        ``explain`` says of a failure of the database what it is and what to do, and repeats no statement's values.
        """
        assert len(operator_key) == KEY_BYTES, "the operator's key has 32 bytes"
        self._engine = engine
        self._randomness = randomness
        self._explain = explain
        self._lookup_key = derive(operator_key, b"grantledger vault lookup v1")
        self._mark_key = derive(operator_key, b"grantledger vault suppression v1")
        self._key_check = derive(operator_key, b"grantledger vault key check v1")
        self._box = SecretBox(derive(operator_key, b"grantledger vault wrapping v1"))
        self._lock = threading.Lock()
        self._known: dict[str, Subject] = {}
        self._behind: dict[str, Subject] = {}
        self._known_erasures = -1
        self._key_is_right = False

    def __repr__(self) -> str:
        """The class and where it lies, nothing secret."""
        return f"SqlVault({self._engine.url.render_as_string()!r})"

    def subjects_of(self, account_ids: Iterable[str]) -> dict[str, Subject]:
        """A subject for every id, minted durably where there was none (see the port).

        Raises RejectedError when one of the ids is erased (ask :meth:`erased_among` first to know which), StoreError
        when the database fails or a row was altered, SettingsError when the operator's key is not this vault's.
        """
        ids = list(dict.fromkeys(account_ids))
        subjects = self.find(ids)
        missing = [account_id for account_id in ids if account_id not in subjects]
        if missing:
            subjects.update(self._mint(missing))
        return subjects

    def find(self, account_ids: Iterable[str]) -> dict[str, Subject]:
        """Subjects of those ids that have one; raises as :meth:`subjects_of`, but never for an erased id."""
        ids = list(dict.fromkeys(account_ids))
        with self._reading() as connection:
            self._check_key(connection)
            erasures = connection.execute(_SELECT_LAST_ERASURE).scalar_one()
            known = self._recall(ids, erasures, self._known)
            missing = [account_id for account_id in ids if account_id not in known]
            loaded = self._load(connection, missing) if missing else {}
        self._remember(loaded, erasures)
        return known | loaded

    def account_of(self, tags: Iterable[str]) -> dict[str, str]:
        """Platform ids of those of ``tags`` that the vault knows; raises as :meth:`find`."""
        with self._reading() as connection:
            self._check_key(connection)
            rows = _fetch(connection, _SELECT_BY_TAG, list(dict.fromkeys(tags)))
        return {tag: self._open(lookup, tag, sealed)[0] for lookup, tag, sealed in rows}

    def subjects_behind(self, tags: Iterable[str]) -> dict[str, Subject]:
        """Subjects of those of ``tags`` that the vault knows (see the port ``Keyring``); raises as :meth:`find`."""
        asked = list(dict.fromkeys(tags))
        with self._reading() as connection:
            self._check_key(connection)
            erasures = connection.execute(_SELECT_LAST_ERASURE).scalar_one()
            known = self._recall(asked, erasures, self._behind)
            missing = [tag for tag in asked if tag not in known]
            rows = _fetch(connection, _SELECT_BY_TAG, missing) if missing else []
        loaded = dict(self._open(lookup, tag, sealed) for lookup, tag, sealed in rows)
        self._remember(loaded, erasures)
        return known | {subject.tag: subject for subject in loaded.values()}

    def erased_among(self, account_ids: Iterable[str]) -> set[str]:
        """Those of the ids that are under a suppression mark; raises as :meth:`find`."""
        marks = {self._mark(account_id): account_id for account_id in account_ids}
        with self._reading() as connection:
            self._check_key(connection)
            if not connection.execute(_SELECT_LAST_ERASURE).scalar_one():
                return set()
            return {marks[bytes(mark)] for (mark,) in _fetch(connection, _SELECT_MARKS, list(marks))}

    def erase(self, tags: Iterable[str]) -> set[str]:
        """Destroy the rows of ``tags`` and mark their ids for ever, durably; returns the tags that had a row.

        Raises as :meth:`find`. The caller has appended, or appends next, ``subject.erased``; both may be repeated.
        """
        with self._reading() as connection:
            self._check_key(connection)
            rows = _fetch(connection, _SELECT_BY_TAG, list(dict.fromkeys(tags)))
        doomed = [
            {"lookup": bytes(lookup), "mark": self._mark(self._open(lookup, tag, sealed)[0])}
            for lookup, tag, sealed in rows
        ]
        if doomed:
            with self._writing("erasing from the vault") as connection:
                if connection.dialect.name == "sqlite":
                    # Overwrites what is deleted, where SQLite would only unlink it.
                    connection.exec_driver_sql("PRAGMA secure_delete = ON")
                else:
                    connection.execute(_TAKE_LOCK)
                # The mark goes first: whoever mints the id at the same time is refused, or deleted here.
                connection.execute(_INSERT_MARK, [{"mark": one["mark"]} for one in doomed])
                connection.execute(_DELETE_SUBJECT, [{"lookup": one["lookup"]} for one in doomed])
        with self._lock:
            self._forget()
        return {tag for _, tag, _ in rows}

    def marks_of(self, tags: Iterable[str]) -> dict[str, bytes]:
        """The suppression marks that erasing ``tags`` would leave, of those that the vault knows; raises as :meth:`find`."""
        return {tag: self._mark(account_id) for tag, account_id in self.account_of(tags).items()}

    def suppress(self, marks: Iterable[bytes]) -> None:
        """Keep ``marks`` of people who were erased when this database was another one, durably; raises as :meth:`find`."""
        rows = [{"mark": mark} for mark in sorted(set(marks))]
        with self._reading() as connection:
            self._check_key(connection)
            kept = {
                bytes(mark) for (mark,) in _fetch(connection, _SELECT_MARKS, [row["mark"] for row in rows])
            }
        fresh = [row for row in rows if row["mark"] not in kept]
        if fresh:
            with self._writing("keeping who was erased") as connection:
                if connection.dialect.name != "sqlite":
                    connection.execute(_TAKE_LOCK)
                connection.execute(_INSERT_MARK, fresh)
            with self._lock:
                self._forget()

    def _mint(self, ids: Sequence[str]) -> dict[str, Subject]:
        # In the order of their keys: two that mint the same people at once wait for each other's rows in one order.
        rows = sorted((self._new_row(account_id) for account_id in ids), key=itemgetter("lookup"))
        with self._writing("minting tags") as connection:
            if connection.dialect.name != "sqlite":
                connection.execute(_SHARE_LOCK)
            # Begins with a write, so that the transaction waits for the lock instead of failing for it later.
            connection.execute(_INSERT_KEY_CHECK, {"key_check": self._key_check})
            self._key_is_right = False  # what an earlier look saw may have been rolled back
            self._check_key(connection)
            connection.execute(_INSERT_SUBJECT, rows)
            # Whose row it is, ours or that of a writer who was faster, only the table knows.
            subjects = self._load(connection, ids)
            erasures = connection.execute(_SELECT_LAST_ERASURE).scalar_one()
        self._remember(subjects, erasures)
        if len(subjects) != len(ids):
            raise RejectedError(ERASED)
        return subjects

    def _new_row(self, account_id: str) -> dict[str, Any]:
        tag = "a_" + self._randomness.token(TAG_BYTES).hex()
        plain = tag.encode() + self._randomness.token(KEY_BYTES) + account_id.encode()
        sealed = bytes(self._box.encrypt(plain, self._randomness.token(SecretBox.NONCE_SIZE)))
        return {
            "lookup": self._lookup(account_id),
            "tag": tag,
            "sealed": sealed,
            "mark": self._mark(account_id),
        }

    def _load(self, connection: Connection, ids: Sequence[str]) -> dict[str, Subject]:
        rows = _fetch(connection, _SELECT_BY_LOOKUP, [self._lookup(account_id) for account_id in ids])
        return dict(self._open(lookup, tag, sealed) for lookup, tag, sealed in rows)

    def _open(self, lookup: bytes, tag: str, sealed: bytes) -> tuple[str, Subject]:
        try:
            plain = self._box.decrypt(bytes(sealed))
        except (CryptoError, ValueError):
            raise StoreError(
                f"the vault's row of {tag} does not open: it was altered; restore a backup"
            ) from None
        key_end = _TAG_CHARACTERS + KEY_BYTES
        account_id = plain[key_end:].decode()
        if plain[:_TAG_CHARACTERS] != tag.encode() or bytes(lookup) != self._lookup(account_id):
            raise StoreError(
                f"the vault's row of {tag} was altered: it holds another subject; restore a backup"
            )
        return account_id, Subject(tag, plain[_TAG_CHARACTERS:key_end])

    def _lookup(self, account_id: str) -> bytes:
        return hmac.digest(self._lookup_key, account_id.encode(), "sha256")

    def _mark(self, account_id: str) -> bytes:
        return hmac.digest(self._mark_key, account_id.encode(), "sha256")

    def _check_key(self, connection: Connection) -> None:
        if self._key_is_right:
            return
        row = connection.execute(_SELECT_KEY_CHECK).first()
        if row is None:
            return
        if not hmac.compare_digest(bytes(row[0]), self._key_check):
            raise SettingsError(
                "the operator's key is not the one that this ledger's vault was made with: put that one back"
            )
        self._key_is_right = True

    def _recall(self, keys: Sequence[str], erasures: int, known: Mapping[str, Subject]) -> dict[str, Subject]:
        """What ``known``, one of the two memories, says of ``keys``; nothing where anybody was erased since."""
        with self._lock:
            if self._known_erasures != erasures:
                self._forget()
                self._known_erasures = erasures
            return {key: known[key] for key in keys if key in known}

    def _remember(self, subjects: Mapping[str, Subject], erasures: int) -> None:
        with self._lock:
            if self._known_erasures != erasures:
                return
            if len(self._known) + len(subjects) > SUBJECTS_KEPT_MAX:
                self._forget()
            self._known.update(subjects)
            self._behind.update((subject.tag, subject) for subject in subjects.values())

    def _forget(self) -> None:
        self._known.clear()
        self._behind.clear()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated("reading the vault"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Connection]:
        with self._translated(doing), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # Not chained: the error of the database repeats the statement's values.
            raise StoreError(
                f"{doing}: {self._explain(error)} ({self._engine.url.render_as_string()})"
            ) from None


def _fetch(connection: Connection, query: str, keys: Sequence[object]) -> list[Any]:
    """The rows whose last column of ``query`` is one of ``keys``, asked for in pieces that every database takes."""
    statement = _by_keys(query, connection.dialect.name)
    rows: list[Any] = []
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        rows += connection.execute(
            statement, {"keys": list(keys[start : start + KEYS_PER_STATEMENT])}
        ).fetchall()
    return rows


@cache
def _by_keys(query: str, dialect: str) -> TextClause:
    if dialect == "sqlite":
        return text(f"{query} IN :keys").bindparams(bindparam("keys", expanding=True))
    # One statement for any number of keys, which the server prepares once.
    return text(f"{query} = ANY(:keys)")
