"""Who is calling: API keys, OAuth tokens, nonces and rate windows (delivery protocol, section 3.1).

Keys and tokens are drawn at random (256 bits), shown once and kept as SHA-256; a stolen database opens nothing. What an
OAuth 1.0a signature is checked with must be there in clear for a moment, so token secrets are sealed and not hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["platform", "developer", "auditor", "business", "person", "regulator", "operator"]

ROLES: tuple[Role, ...] = ("platform", "developer", "auditor", "business", "person", "regulator", "operator")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the ledger's own API. ``subject`` is the developer's id, or the account's tag, that it speaks for.

    It is empty for roles that speak for nobody (platform, auditor, regulator, operator).
    """

    key: str
    secret_hash: bytes
    role: Role
    subject: str
    name: str
    created_at_ms: int
    revoked_at_ms: int | None = None


TokenKind = Literal["bearer", "request", "access", "session"]


@dataclass(frozen=True, slots=True)
class Token:
    """An OAuth token, found by the SHA-256 of its text.

    ``account`` is a tag: of access tokens and sessions always, of request tokens once the account consented.
    ``scopes`` are those that the account left standing. ``verifier_hash`` and ``callback`` belong to request tokens.
    """

    token_hash: bytes
    kind: TokenKind
    app: str
    account: str | None
    secret_sealed: bytes | None
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    callback: str | None = None
    verifier_hash: bytes | None = None


class Credentials(Protocol):
    """API keys, tokens, nonces and rate windows; safe for use from any number of threads and processes."""

    def add_key(self, key: ApiKey) -> None:
        """Add a key; ConflictError where its id is taken."""
        ...

    def load_key(self, key: str) -> ApiKey | None:
        """The key of this id, revoked ones included."""
        ...

    def load_keys(self) -> Sequence[ApiKey]:
        """All keys, by age."""
        ...

    def revoke_key(self, key: str, at_ms: int) -> bool:
        """Revoke a key; False where there is none that lives."""
        ...

    def put_token(self, token: Token) -> None:
        """Add a token, or change what may change: account, scopes, verifier, expiry, revocation."""
        ...

    def load_token(self, token_hash: bytes) -> Token | None:
        """The token of this hash, expired and revoked ones included."""
        ...

    def take_token(self, token_hash: bytes, at_ms: int) -> Token | None:
        """Revoke a live token and return it as it was; None for everybody but the first (a request token is used once)."""
        ...

    def revoke_tokens(self, app: str, account: str, at_ms: int) -> int:
        """Revoke the live access tokens of an account (a tag) for an app; how many there were."""
        ...

    def take_nonce(self, consumer_key: str, timestamp_s: int, nonce: str, now_ms: int) -> bool:
        """Remember a nonce; False where it was there already. Those older than the window of timestamps are dropped."""
        ...

    def count_call(self, bucket: str, window_start_ms: int, limit: int) -> int:
        """Count a call in the window; how many there have been, this one included (counting stops past ``limit``)."""
        ...
