"""The keys of the Standard Webhooks signatures, in SQL (delivery protocol, section 3.5).

Implements :class:`ledger.ports.signing_keys.SigningKeys` on SQLite and PostgreSQL. The guard against a second key with the
same number is the table's key; ending those before it goes in the same transaction, and only where the key went in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, text

from ledger.ports.signing_keys import SigningKey
from ledger.store.engine import begin_write
from ledger.store.service_tables import SigningKeyRow
from ledger.store.statements import bounds_of, check_values, fetch

_KEY = "webhook, number, secret_sealed, created_at_ms, ends_at_ms"

LOAD_KEYS = text(
    f"SELECT {_KEY} FROM service_signing_keys WHERE webhook = :webhook "
    "AND (ends_at_ms IS NULL OR ends_at_ms > :now_ms) ORDER BY number DESC"
)
_ADD = text(
    f"INSERT INTO service_signing_keys ({_KEY}) "
    "VALUES (:webhook, :number, :secret_sealed, :created_at_ms, :ends_at_ms) ON CONFLICT DO NOTHING"
)
_END = text(
    "UPDATE service_signing_keys SET ends_at_ms = :end_at_ms WHERE webhook = :webhook AND number < :number "
    "AND (ends_at_ms IS NULL OR ends_at_ms > :end_at_ms)"
)

_BOUNDS = bounds_of(SigningKeyRow)


class SqlSigningKeys:
    """A :class:`~ledger.ports.signing_keys.SigningKeys` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine

    def load(self, webhook: str, now_ms: int) -> Sequence[SigningKey]:
        """The keys of ``webhook`` that have not ended, the newest first."""
        rows = fetch(self._engine, "reading keys that sign", LOAD_KEYS, webhook=webhook, now_ms=now_ms)
        return [SigningKey(*row) for row in rows]

    def add(self, key: SigningKey, previous_end_at_ms: int) -> bool:
        """Add ``key`` and let those before it end then; False, and nothing changes, where its number is taken."""
        values = asdict(key)
        check_values(values, _BOUNDS)
        with begin_write(self._engine, "adding a key that signs") as connection:
            if connection.execute(_ADD, values).rowcount != 1:
                return False
            connection.execute(
                _END, {"webhook": key.webhook, "number": key.number, "end_at_ms": previous_end_at_ms}
            )
        return True
