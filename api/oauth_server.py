"""Giving out tokens: bearers for apps, and the three-legged way to an account's own (delivery protocol, section 3.1).

A request token lives for a quarter of an hour and goes through three hands: the app that asked for it, the account that
consents to it (which writes the account, the scopes that it left standing and the consent text's hash into it), and the same
app again, which exchanges it. A wrong verifier spends the token, so that it can be guessed at once only. The access token is
there before the request token is spent, and is taken back where that fails: so whenever the account ends the app's access,
it finds one or the other. Dying in between leaves an access token whose text nobody has, and the app asks again.

What a token's text is and how it is kept: :mod:`ledger.gateway.tokens`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from api.auth import Authenticator, SignedBy, is_live
from api.problems import ProblemError
from api.service import Service
from ledger.gateway.tokens import TOKEN_BYTES, Issuing, NewToken, hash_of, secret_context
from ledger.ports.credentials import Token, TokenKind
from ledger.ports.registry import App

OUT_OF_BAND: Final = "oob"
REQUEST_TTL_MS: Final = 15 * 60 * 1_000
PIN_DIGITS: Final = 7

_NOT_REDIRECTED_TO = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})


@dataclass(frozen=True, slots=True)
class AccessGiven:
    """An access token, and the platform's id of the account that gave it."""

    token: NewToken
    account_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request token that waits for an account: which app asks, and where the browser goes afterwards."""

    token: Token
    app: App


@dataclass(frozen=True, slots=True)
class Consent:
    """What came of a consent: a place to go to, or a PIN to be typed into the app."""

    redirect_to: str | None
    pin: str | None


NotAsked = Literal["unknown", "expired", "used"]


class OAuthServer:
    """Gives out and takes back tokens of one service; safe from any thread."""

    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        """Nothing is read yet."""
        self._service = service
        self._authenticator = authenticator

    def issue_request_token(self, app: App, callback: str | None) -> NewToken:
        """A request token for ``app``; raises ProblemError (415) unless ``callback`` is registered, or ``oob``."""
        if callback is None or (callback != OUT_OF_BAND and not _is_registered(app, callback)):
            raise ProblemError("callback-refused")
        return self._issue("request", app, callback=callback, ttl_ms=REQUEST_TTL_MS)

    def load_asked(self, text: str) -> Asked | NotAsked:
        """What the request token ``text`` asks for, while nobody has answered it."""
        token = self._service.credentials.load_token(hash_of(text))
        if token is None or token.kind != "request":
            return "unknown"
        if token.revoked_at_ms is not None or token.account is not None:
            return "used"
        app = self._service.registry.load_app(token.app)
        if app is None:
            return "unknown"
        return Asked(token, app) if is_live(token, self._service.clock.now_ms()) else "expired"

    def allow(
        self, asked: Asked, text: str, account: str, scopes: tuple[str, ...], consent_text: bytes
    ) -> Consent | None:
        """Write the answer of ``account`` (a tag) into the request token ``text`` and make its verifier.

        ``consent_text`` is the SHA-256 of what the account was shown. None where another account answered first, or the
        token is spent.
        """
        assert scopes, "allowing nothing is a refusal"
        callback = asked.token.callback or OUT_OF_BAND
        verifier = self._draw_pin() if callback == OUT_OF_BAND else self._draw()
        answered = replace(
            asked.token,
            account=account,
            scopes=scopes,
            verifier_hash=_verifier_hash(asked.token.token_hash, verifier),
            consent_text=consent_text,
        )
        if not self._service.credentials.put_token(answered):
            return None
        if callback == OUT_OF_BAND:
            return Consent(None, verifier)
        return Consent(_with_query(callback, {"oauth_token": text, "oauth_verifier": verifier}), None)

    def refuse(self, asked: Asked, text: str) -> Consent:
        """Take the request token back, as the account allowed nothing."""
        self._take(asked.token.token_hash)
        callback = asked.token.callback or OUT_OF_BAND
        return Consent(None if callback == OUT_OF_BAND else _with_query(callback, {"denied": text}), None)

    def exchange(self, signed: SignedBy, verifier: str | None) -> AccessGiven:
        """The access token for a consented request token; raises ProblemError (89), and the request token is spent."""
        asked = signed.token
        if asked is None or asked.account is None or asked.verifier_hash is None:
            raise ProblemError("token-invalid")
        stated = _verifier_hash(asked.token_hash, verifier or "")
        is_right = hmac.compare_digest(asked.verifier_hash, stated)
        account_id = self._authenticator.account_id_of(asked.account)
        if not is_right or account_id is None:
            self._take(asked.token_hash)
            raise ProblemError("token-invalid")
        # Clients read the account's id off the front of the token, as the public API's tokens have it there.
        token = self._issue("access", signed.app, text=f"{account_id}-", given=asked)
        taken = self._service.credentials.take_token(asked.token_hash, self._service.clock.now_ms())
        if taken is None or taken.scopes != asked.scopes:
            # Used by another call, or taken back or narrowed by the account, before or after the access token was there.
            self._take(hash_of(token.text))
            raise ProblemError("token-invalid")
        return AccessGiven(token, account_id)

    def bearer_of(self, app: App) -> str:
        """The bearer token of ``app``, the same until it is invalidated."""
        service = self._service
        issuing = Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )
        return issuing.bearer_of(app, service.parties.consumer_secret(app))

    def invalidate_bearer(self, app: App, text: str) -> None:
        """Take a bearer token of ``app`` back; raises ProblemError (99) unless it is a live one."""
        token = self._service.credentials.load_token(hash_of(text))
        if token is None or token.kind != "bearer" or token.app != app.app:
            raise ProblemError("credentials-refused")
        if not self._take(token.token_hash):
            raise ProblemError("credentials-refused")

    def _issue(
        self,
        kind: TokenKind,
        app: App,
        *,
        text: str = "",
        callback: str | None = None,
        ttl_ms: int | None = None,
        given: Token | None = None,
    ) -> NewToken:
        """A new token with a secret; ``given`` is the request token whose account and scopes it takes over."""
        text += self._draw()
        secret = self._draw()
        token = self._token(kind, app.app, text)
        sealed = self._service.sealing.seal_secret(secret_context(token.token_hash), secret)
        token = replace(token, secret_sealed=sealed, callback=callback)
        if ttl_ms is not None:
            token = replace(token, expires_at_ms=token.created_at_ms + ttl_ms)
        if given is not None:
            token = replace(
                token, account=given.account, scopes=given.scopes, consent_text=given.consent_text
            )
        self._service.credentials.put_token(token)
        return NewToken(text, secret)

    def _token(self, kind: TokenKind, app: str, text: str) -> Token:
        return Token(
            token_hash=hash_of(text),
            kind=kind,
            app=app,
            account=None,
            secret_sealed=None,
            scopes=(),
            created_at_ms=self._service.clock.now_ms(),
        )

    def _take(self, token_hash: bytes) -> bool:
        """Revoke a live token; False for everybody but the first."""
        now_ms = self._service.clock.now_ms()
        return self._service.credentials.take_token(token_hash, now_ms) is not None

    def _draw(self) -> str:
        return self._service.randomness.token(TOKEN_BYTES).hex()

    def _draw_pin(self) -> str:
        drawn = int.from_bytes(self._service.randomness.token(TOKEN_BYTES))
        return f"{drawn % 10**PIN_DIGITS:0{PIN_DIGITS}d}"


def _verifier_hash(token_hash: bytes, verifier: str) -> bytes:
    """What is kept of a verifier; bound to its token, so that one PIN in two tokens is not seen to be one."""
    return hash_of(f"{token_hash.hex()}/{verifier}")


def _is_registered(app: App, callback: str) -> bool:
    """Whether ``callback`` is one of the app's, character by character: every looser rule has been an open redirect."""
    return callback in app.callbacks and urlsplit(callback).scheme.lower() not in _NOT_REDIRECTED_TO


def _with_query(callback: str, answer: dict[str, str]) -> str:
    parts = urlsplit(callback)
    query = f"{parts.query}&{urlencode(answer)}" if parts.query else urlencode(answer)
    return urlunsplit(parts._replace(query=query))
