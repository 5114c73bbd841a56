"""API keys, tokens, nonces and rate windows in SQL (delivery protocol, section 3.1).

Implements :class:`ledger.ports.credentials.Credentials` on SQLite and PostgreSQL. Whatever may happen once (a nonce, a
request token, the call that passes a limit) is one statement whose outcome says who was first. Nonces and buckets are
there as hashes, because they are as long as somebody else likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine, text

from ledger.errors import ConflictError
from ledger.ports.credentials import NONCE_WINDOW_S, ApiKey, Token
from ledger.store.claims import skip_locked
from ledger.store.engine import begin_write
from ledger.store.service_tables import ApiKeyRow, TokenRow
from ledger.store.statements import (
    INTEGER_MAX,
    Value,
    bounds_of,
    check_values,
    columns_of,
    decode_texts,
    encode_texts,
    fetch,
    is_storable,
    within,
)

NONCES_DROPPED_MAX = 16
"""How many old nonces a new one sweeps out: more than one, so that their number falls back after a rush."""

_KEY_COLUMNS = columns_of(ApiKey)
_TOKEN_COLUMNS = columns_of(Token)
_ALIVE = "revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > :at_ms)"

_ADD_KEY = text(
    f"INSERT INTO service_api_keys ({_KEY_COLUMNS}) VALUES (:key, :secret_hash, :role, :subject, :name, :created_at_ms, "
    ":revoked_at_ms) ON CONFLICT (key) DO NOTHING"
)
LOAD_KEY = text(f"SELECT {_KEY_COLUMNS} FROM service_api_keys WHERE key = :key")
LOAD_KEYS = text(f"SELECT {_KEY_COLUMNS} FROM service_api_keys ORDER BY created_at_ms, key")
_REVOKE_KEY = text(
    "UPDATE service_api_keys SET revoked_at_ms = :at_ms WHERE key = :key AND revoked_at_ms IS NULL"
)
# A token stays the account's that it was first given to, and revoked for ever.
_PUT_TOKEN = text(
    f"INSERT INTO service_tokens ({_TOKEN_COLUMNS}) VALUES (:token_hash, :kind, :app, :account, :secret_sealed, :scopes, "
    ":created_at_ms, :expires_at_ms, :revoked_at_ms, :callback, :verifier_hash, :consent_text) "
    "ON CONFLICT (token_hash) DO UPDATE SET account = excluded.account, scopes = excluded.scopes, "
    "expires_at_ms = excluded.expires_at_ms, revoked_at_ms = excluded.revoked_at_ms, "
    "verifier_hash = excluded.verifier_hash, consent_text = excluded.consent_text "
    "WHERE service_tokens.revoked_at_ms IS NULL AND (service_tokens.account = excluded.account "
    "OR (service_tokens.account IS NULL AND (excluded.account IS NULL OR service_tokens.kind = 'request')))"
)
LOAD_TOKEN = text(f"SELECT {_TOKEN_COLUMNS} FROM service_tokens WHERE token_hash = :token_hash")
LOAD_ACCESS_TOKENS = text(
    f"SELECT {_TOKEN_COLUMNS} FROM service_tokens WHERE account = :account AND kind = 'access' AND {_ALIVE} "
    "ORDER BY created_at_ms, token_hash"
)
LOAD_GIVEN_TOKENS = text(
    f"SELECT {_TOKEN_COLUMNS} FROM service_tokens WHERE account = :account AND app = :app "
    f"AND kind IN ('access', 'request') AND {_ALIVE} ORDER BY created_at_ms, token_hash"
)
_NARROW_TOKEN = text(
    "UPDATE service_tokens SET scopes = :scopes "
    "WHERE token_hash = :token_hash AND scopes = :before AND revoked_at_ms IS NULL"
)
_TAKE_TOKEN = text(
    f"UPDATE service_tokens SET revoked_at_ms = :at_ms WHERE token_hash = :token_hash AND {_ALIVE} RETURNING {_TOKEN_COLUMNS}"
)
REVOKE_TOKENS = text(
    "UPDATE service_tokens SET revoked_at_ms = :at_ms "
    f"WHERE account = :account AND app = :app AND kind IN ('access', 'request') AND {_ALIVE} "
    "AND created_at_ms <= :made_until_ms RETURNING kind"
)
_TAKE_NONCE = text(
    "INSERT INTO service_nonces (mark, timestamp_s) VALUES (:mark, :timestamp_s) ON CONFLICT (mark) DO NOTHING"
)
# Past the limit nothing is written. A call that comes late counts in the window that others have begun.
_COUNT_CALL = text(
    "INSERT INTO service_rate_windows (mark, window_start_ms, calls) VALUES (:mark, :window_start_ms, 1) "
    "ON CONFLICT (mark) DO UPDATE SET "
    "calls = CASE WHEN excluded.window_start_ms > service_rate_windows.window_start_ms THEN 1 "
    "ELSE service_rate_windows.calls + 1 END, "
    "window_start_ms = CASE WHEN excluded.window_start_ms > service_rate_windows.window_start_ms "
    "THEN excluded.window_start_ms ELSE service_rate_windows.window_start_ms END "
    "WHERE service_rate_windows.calls <= :limit "
    "OR excluded.window_start_ms > service_rate_windows.window_start_ms RETURNING calls"
)

_KEY_BOUNDS = bounds_of(ApiKeyRow)
_TOKEN_BOUNDS = bounds_of(TokenRow)


class SqlCredentials:
    """A :class:`~ledger.ports.credentials.Credentials` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine
        locked = skip_locked(engine)
        self._drop_nonces = text(
            "DELETE FROM service_nonces WHERE mark IN (SELECT mark FROM service_nonces "
            f"WHERE timestamp_s < :before_s ORDER BY timestamp_s LIMIT {NONCES_DROPPED_MAX} {locked})"
        )
        self._expire = [
            text(
                f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} "
                f"WHERE {time} < :before_ms ORDER BY {time} LIMIT :count_max {locked})"
            )
            for table, key, time in (
                ("service_tokens", "token_hash", "expires_at_ms"),
                ("service_tokens", "token_hash", "revoked_at_ms"),
                ("service_rate_windows", "mark", "window_start_ms"),
            )
        ]

    def add_key(self, key: ApiKey) -> None:
        """See :meth:`ledger.ports.credentials.Credentials.add_key`."""
        values = asdict(key)
        check_values(values, _KEY_BOUNDS)
        with begin_write(self._engine, "adding an API key") as connection:
            if connection.execute(_ADD_KEY, values).rowcount == 1:
                return
            row = connection.execute(LOAD_KEY, {"key": key.key}).one()
        # The same key once more: the first call was reported as failed, and was not.
        if replace(_key(row), revoked_at_ms=key.revoked_at_ms) != key:
            raise ConflictError(f"an API key of the id {key.key} is there already")

    def load_key(self, key: str) -> ApiKey | None:
        """The key of this id, revoked ones included."""
        rows = fetch(self._engine, "reading an API key", LOAD_KEY, key=key)
        return _key(rows[0]) if rows else None

    def load_keys(self) -> Sequence[ApiKey]:
        """All keys, by age."""
        return [_key(row) for row in fetch(self._engine, "reading API keys", LOAD_KEYS)]

    def revoke_key(self, key: str, at_ms: int) -> bool:
        """Revoke a key; False where there is none that lives."""
        if not is_storable(key):
            return False
        with begin_write(self._engine, "revoking an API key") as connection:
            return connection.execute(_REVOKE_KEY, {"key": key, "at_ms": at_ms}).rowcount == 1

    def put_token(self, token: Token) -> bool:
        """See :meth:`ledger.ports.credentials.Credentials.put_token`."""
        values: dict[str, Value] = asdict(token) | {"scopes": encode_texts(token.scopes)}
        check_values(values, _TOKEN_BOUNDS)
        with begin_write(self._engine, "keeping a token") as connection:
            return connection.execute(_PUT_TOKEN, values).rowcount == 1

    def load_token(self, token_hash: bytes) -> Token | None:
        """The token of this hash, expired and revoked ones included."""
        rows = fetch(self._engine, "reading a token", LOAD_TOKEN, token_hash=token_hash)
        return _token(rows[0]) if rows else None

    def load_access_tokens(self, account: str, now_ms: int = 0) -> Sequence[Token]:
        """Access tokens of the account (a tag) that are not revoked nor expired by ``now_ms``, by age."""
        rows = fetch(self._engine, "reading tokens", LOAD_ACCESS_TOKENS, account=account, at_ms=now_ms)
        return [_token(row) for row in rows]

    def load_given_tokens(self, account: str, app: str, now_ms: int = 0) -> Sequence[Token]:
        """See :meth:`ledger.ports.credentials.Credentials.load_given_tokens`."""
        rows = fetch(
            self._engine, "reading tokens", LOAD_GIVEN_TOKENS, account=account, app=app, at_ms=now_ms
        )
        return [_token(row) for row in rows]

    def narrow_token(self, token: Token, scopes: Sequence[str]) -> bool:
        """See :meth:`ledger.ports.credentials.Credentials.narrow_token`."""
        values = {
            "token_hash": token.token_hash,
            "before": encode_texts(token.scopes),
            "scopes": encode_texts(scopes),
        }
        with begin_write(self._engine, "narrowing a token") as connection:
            return connection.execute(_NARROW_TOKEN, values).rowcount == 1

    def take_token(self, token_hash: bytes, at_ms: int) -> Token | None:
        """Revoke a live token and return it as it was; None for everybody but the first."""
        with begin_write(self._engine, "taking a token") as connection:
            row = connection.execute(_TAKE_TOKEN, {"token_hash": token_hash, "at_ms": at_ms}).first()
        return None if row is None else replace(_token(row), revoked_at_ms=None)

    def revoke_tokens(self, app: str, account: str, at_ms: int, made_until_ms: int | None = None) -> int:
        """See :meth:`ledger.ports.credentials.Credentials.revoke_tokens`."""
        values = within(
            {
                "app": app,
                "account": account,
                "at_ms": at_ms,
                "made_until_ms": INTEGER_MAX if made_until_ms is None else made_until_ms,
            }
        )
        with begin_write(self._engine, "revoking tokens") as connection:
            kinds = connection.execute(REVOKE_TOKENS, values).scalars()
            return sum(kind == "access" for kind in kinds)

    def take_nonce(self, consumer_key: str, timestamp_s: int, nonce: str, now_ms: int) -> bool:
        """See :meth:`ledger.ports.credentials.Credentials.take_nonce`."""
        oldest_s = now_ms // 1_000 - NONCE_WINDOW_S
        if not oldest_s <= timestamp_s <= oldest_s + 2 * NONCE_WINDOW_S:
            # It may have been there and been dropped, or would stay for ever.
            return False
        values = {"mark": _mark_of(consumer_key, str(timestamp_s), nonce), "timestamp_s": timestamp_s}
        with begin_write(self._engine, "taking a nonce") as connection:
            is_first = connection.execute(_TAKE_NONCE, values).rowcount == 1
            if is_first:
                connection.execute(self._drop_nonces, {"before_s": oldest_s})
        return is_first

    def count_call(self, bucket: str, window_start_ms: int, limit: int) -> int:
        """See :meth:`ledger.ports.credentials.Credentials.count_call`."""
        values = {"mark": _mark_of(bucket), "window_start_ms": window_start_ms, "limit": limit}
        with begin_write(self._engine, "counting a call") as connection:
            calls = connection.execute(_COUNT_CALL, values).scalar()
        return limit + 1 if calls is None else int(calls)

    def expire(self, before_ms: int, count_max: int) -> int:
        """See :meth:`ledger.ports.credentials.Credentials.expire`."""
        values = within({"before_ms": before_ms, "count_max": count_max})
        with begin_write(self._engine, "deleting old tokens") as connection:
            return sum(connection.execute(statement, values).rowcount for statement in self._expire)


def _mark_of(*parts: str) -> bytes:
    """A hash that no other ``parts`` have; they may hold anything."""
    return sha256(encode_texts(parts).encode("utf-8", "surrogatepass")).digest()


def _key(row: Any) -> ApiKey:
    return ApiKey(*row)


def _token(row: Any) -> Token:
    token_hash, kind, app, account, secret_sealed, scopes, *rest = row
    return Token(token_hash, kind, app, account, secret_sealed, decode_texts(scopes), *rest)
