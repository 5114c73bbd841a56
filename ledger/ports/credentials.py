"""Who is calling: API keys, OAuth tokens, nonces and rate windows (delivery protocol, section 3.1).

Keys and tokens are drawn at random (256 bits), shown once and kept as SHA-256; a stolen database opens nothing. What an
OAuth 1.0a signature is checked with must be there in clear for a moment, so token secrets are sealed and not hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

NONCE_WINDOW_S = 600
"""How far a timestamp may be from now at most; a caller that is stricter finds every nonce that it asks about."""

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
    ``consent_text`` is the SHA-256 of what the account was shown when it consented. An access token without an account is
    the app owner's, and so is one of the account that owns the app.
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
    consent_text: bytes | None = None


class Credentials(Protocol):
    """API keys, tokens, nonces and rate windows; safe for use from any number of threads and processes."""

    def add_key(self, key: ApiKey) -> None:
        """Add a key; ConflictError where its id is taken by another one."""
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

    def put_token(self, token: Token) -> bool:
        """Add a token, or change what may change: account, scopes, verifier, consent text, expiry, revocation.

        False, and nothing changes, where it is revoked, or another account's: an account is given to a request token
        once (whoever consents first), and to no other kind later.
        """
        ...

    def load_token(self, token_hash: bytes) -> Token | None:
        """The token of this hash, expired and revoked ones included."""
        ...

    def load_access_tokens(self, account: str, now_ms: int = 0) -> Sequence[Token]:
        """Access tokens of the account (a tag) that are not revoked nor expired by ``now_ms``, by age."""
        ...

    def load_given_tokens(self, account: str, app: str, now_ms: int = 0) -> Sequence[Token]:
        """What ``account`` (a tag) has given ``app`` and neither revoked nor let expire by ``now_ms``, by age.

        Access tokens, and request tokens that it consented to: an access token can still be made of them.
        """
        ...

    def narrow_token(self, token: Token, scopes: Sequence[str]) -> bool:
        """Give a token other scopes; False, and nothing changes, where it is revoked or has others than ``token`` says."""
        ...

    def take_token(self, token_hash: bytes, at_ms: int) -> Token | None:
        """Revoke a live token and return it as it was; None for everybody but the first (a request token is used once).

        None, too, where it has expired by ``at_ms``.
        """
        ...

    def revoke_tokens(self, app: str, account: str, at_ms: int, made_until_ms: int | None = None) -> int:
        """Revoke the live access tokens of an account (a tag) for an app; how many there were.

        With ``made_until_ms`` only those that were made by then.

        Request tokens that the account consented to and nobody has used go, too, and are not counted.
        """
        ...

    def take_nonce(self, consumer_key: str, timestamp_s: int, nonce: str, now_ms: int) -> bool:
        """Remember a nonce; False where it was there already, or ``timestamp_s`` is not within :data:`NONCE_WINDOW_S`.

        Those older than that are dropped.
        """
        ...

    def count_call(self, bucket: str, window_start_ms: int, limit: int) -> int:
        """Count a call in the window; how many there have been, this one included (counting stops past ``limit``).

        ``bucket`` is any text. A bucket has one window, the last one that was begun: a call that comes late counts there.
        """
        ...

    def expire(self, before_ms: int, count_max: int) -> int:
        """Delete what is of no use since before ``before_ms``, up to ``count_max`` of each sort; how many went.

        Tokens that expired or were revoked, and windows that began.
        """
        ...
