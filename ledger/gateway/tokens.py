"""Keys and tokens that the operator gives out, each shown once (delivery protocol, section 3.1).

Texts are drawn from 256 random bits and kept as SHA-256. An access token's text begins with the account's id, because
clients read it there; its secret is sealed, because a signature is checked with it. The bearer token is computed from the
consumer secret and a random seed, and the seed is kept, so that asking again gives the same one, as the public API does,
though what is kept does not tell it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ledger.core.scopes import SCOPES, is_known_scope
from ledger.core.strict import is_id
from ledger.errors import RejectedError
from ledger.ports import Clock, Randomness
from ledger.ports.credentials import ApiKey, Credentials, Role, Token
from ledger.ports.registry import App
from ledger.ports.sealing import Sealing

KEY_PREFIX: Final = "glk"
TOKEN_BYTES: Final = 32

ROLES_FOR_ACCOUNTS: Final[tuple[Role, ...]] = ("business", "person")
"""Roles whose keys speak for an account; ``developer`` speaks for a developer, all others for nobody."""

NAME_CHARACTERS_MAX: Final = 100

_KEY_ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key, with its text ``glk_<id>_<secret>``."""

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as its holder gets it."""

    text: str
    secret: str


def hash_of(text: str) -> bytes:
    """The SHA-256 that a token, or the secret of an API key, is kept as."""
    return hashlib.sha256(text.encode()).digest()


def secret_context(token_hash: bytes) -> str:
    """What a token's secret is sealed as."""
    return f"token/{token_hash.hex()}/secret"


def _bearer_text(consumer_secret: bytes, seed: bytes) -> str:
    return f"AAAA{hmac.digest(consumer_secret, b'bearer/' + seed, 'sha256').hex()}"


class Issuing:
    """Gives out keys and tokens. Safe from any thread."""

    def __init__(
        self, *, credentials: Credentials, sealing: Sealing, clock: Clock, randomness: Randomness
    ) -> None:
        self._credentials = credentials
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness

    def issue_key(self, role: Role, subject: str = "", name: str = "") -> NewKey:
        """A new API key of ``role`` that speaks for ``subject`` (a developer's id, an account's tag, or nobody).

        Raises RejectedError where the role needs a subject and there is none, or the other way round.
        """
        needs_subject = role == "developer" or role in ROLES_FOR_ACCOUNTS
        if needs_subject and not subject:
            raise RejectedError(f"a key of the role {role} speaks for somebody: say for whom")
        if subject and not needs_subject:
            raise RejectedError(f"a key of the role {role} speaks for nobody")
        if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
            raise RejectedError(
                f"the name of a key has at most {NAME_CHARACTERS_MAX} characters that can be shown"
            )
        secret = self._draw()
        key_id = f"k{self._randomness.token(_KEY_ID_BYTES).hex()}"
        key = ApiKey(key_id, hash_of(secret), role, subject, name, self._clock.now_ms())
        self._credentials.add_key(key)
        return NewKey(key, f"{KEY_PREFIX}_{key_id}_{secret}")

    def issue_owner(self, app: App) -> NewToken:
        """An access token of the owner of ``app``: it writes webhooks, and is no account's."""
        return self._issue(app, app.app, None, ())

    def issue_access(self, app: App, account_id: str, account: str, scopes: Sequence[str]) -> NewToken:
        """An access token that the account (``account`` is its tag) gives ``app`` for ``scopes``, at least one.

        As consenting makes one; for trying things out, where nobody consents. Raises RejectedError for unknown scopes.
        """
        unknown = [scope for scope in scopes if not is_known_scope(scope)]
        if unknown or not scopes:
            raise RejectedError(f"scopes are one or more of {', '.join(SCOPES)}, or all")
        assert is_id(account_id), "the account is registered"
        return self._issue(app, account_id, account, tuple(sorted(set(scopes))))

    def bearer_of(self, app: App, consumer_secret: str) -> str:
        """The bearer token of ``app``, the same until it is invalidated; another one for callers who ask first at once."""
        secret = consumer_secret.encode()
        # No text hashes to this place, so that what is kept there is nobody's token.
        place = hmac.digest(secret, b"bearer/place", "sha256")
        kept = self._credentials.load_token(place)
        if kept is not None and kept.verifier_hash is not None:
            text = _bearer_text(secret, kept.verifier_hash)
            token = self._credentials.load_token(hash_of(text))
            if token is not None and token.revoked_at_ms is None:
                return text
        # Invalidated, or never made. A seed is drawn for each, and none is used twice: rows of revoked tokens are deleted
        # some day, and a text that was computed anew would then be live again.
        seed = self._randomness.token(TOKEN_BYTES)
        text = _bearer_text(secret, seed)
        token = Token(hash_of(text), "bearer", app.app, None, None, (), self._clock.now_ms())
        # Dying between the two leaves a token whose text nobody has.
        self._credentials.put_token(token)
        self._credentials.put_token(replace(token, token_hash=place, verifier_hash=seed))
        return text

    def _issue(self, app: App, begins: str, account: str | None, scopes: tuple[str, ...]) -> NewToken:
        text, secret = f"{begins}-{self._draw()}", self._draw()
        token_hash = hash_of(text)
        sealed = self._sealing.seal_secret(secret_context(token_hash), secret)
        self._credentials.put_token(
            Token(token_hash, "access", app.app, account, sealed, scopes, self._clock.now_ms())
        )
        return NewToken(text, secret)

    def _draw(self) -> str:
        return self._randomness.token(TOKEN_BYTES).hex()
