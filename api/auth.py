"""Who calls: bearer tokens, OAuth 1.0a signatures and API keys, verified (delivery protocol, sections 3.1 and 3.2).

Each caller is a value. What a caller may do is decided where the call is made; here is decided only who it is.

Of a signed call, the signature is checked before the nonce is taken, so that nobody without the secrets can use up a nonce
or fill their table. An unknown consumer key, token or API key costs the same work as a known one: dummy secrets are opened
and hashed, and the answer is the same as for a wrong signature. Keys and tokens are found by a hash, and compared in
constant time where anything is compared. Nothing that was presented is logged or told back.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final, Literal

from api.oauth_signature import SignedCall, signed_text
from api.problems import ProblemError
from api.service import Service
from ledger.gateway.tokens import hash_of, secret_context
from ledger.ports import Subject
from ledger.ports.credentials import ApiKey, Role, Token, TokenKind
from ledger.ports.registry import App

TIMESTAMP_WINDOW_S: Final = 300
KEY_PREFIX: Final = "glk"
_SECRET_BYTES = 32
_DUMMY_CONTEXT = "dummy/secret"


@dataclass(frozen=True, slots=True)
class AppCaller:
    """An app itself: by its bearer token, by its owner's signature, or (``user``) by one with an account's token."""

    app: App
    by: Literal["bearer", "owner", "user"]


@dataclass(frozen=True, slots=True)
class UserCaller:
    """An account through an app: a call signed with an access token that the account gave the app.

    ``signed_text`` is what was signed, and the signature: evidence of the call, without any secret in it.
    """

    app: App
    account: Subject
    token: Token
    signed_text: bytes

    @property
    def is_owner(self) -> bool:
        """Whether the account is the one that owns the app: its signature is the owner's, too."""
        return self.app.owner_account == self.account.tag


@dataclass(frozen=True, slots=True)
class KeyCaller:
    """A key of the ledger's own API; ``key.subject`` is whom it speaks for."""

    key: ApiKey


@dataclass(frozen=True, slots=True)
class SignedBy:
    """A call whose signature is right: the app, the token that it was signed with, if any, and what was signed."""

    app: App
    token: Token | None
    text: bytes


class Authenticator:
    """Verifies callers against the registry and credentials of one service; safe from any thread."""

    def __init__(self, service: Service) -> None:
        """Make the dummy secrets."""
        self._service = service
        secret = service.randomness.token(_SECRET_BYTES).hex()
        self._dummy_sealed = service.sealing.seal_secret(_DUMMY_CONTEXT, secret)
        self._dummy_hash = hash_of(secret)

    def signed(self, call: SignedCall, kind: TokenKind = "access") -> SignedBy:
        """Whose signature ``call`` carries; its token, if it names one, must be a live one of ``kind``.

        Raises ProblemError: 32 (unknown consumer key, wrong signature, stale or repeated), 89 (the token is no such).
        """
        service = self._service
        now_ms = service.clock.now_ms()
        app = service.registry.load_app_of_key(call.consumer_key)
        token = service.credentials.load_token(hash_of(call.token)) if call.token else None
        if token is not None and (app is None or token.app != app.app or token.kind != kind):
            token = None
        consumer_secret = self._dummy_secret() if app is None else service.parties.consumer_secret(app)
        token_secret = self._token_secret(call, token)
        text = signed_text(call, service.settings.external_urls, consumer_secret, token_secret)
        if app is not None and call.token and token is None:
            raise ProblemError("token-invalid")
        if app is None or text is None:
            raise ProblemError("not-authenticated")
        if abs(call.timestamp_s - now_ms // 1_000) > TIMESTAMP_WINDOW_S:
            minutes = TIMESTAMP_WINDOW_S // 60
            raise ProblemError(
                "not-authenticated",
                f"Could not authenticate you. The timestamp is more than {minutes} minutes off.",
            )
        if token is not None and not is_live(token, now_ms):
            raise ProblemError("token-invalid")
        if not service.credentials.take_nonce(call.consumer_key, call.timestamp_s, call.nonce, now_ms):
            raise ProblemError("not-authenticated")
        return SignedBy(app, token, text)

    def signer(self, call: SignedCall) -> AppCaller | UserCaller:
        """Who signed ``call``: an account through the app, or the app's owner; raises as :meth:`signed`."""
        signed = self.signed(call)
        if signed.token is None or signed.token.account is None:
            return AppCaller(signed.app, "owner")
        subject = self.subject_of(signed.token.account)
        if subject is None:
            # The account was erased, and its tokens say nothing any more.
            raise ProblemError("token-invalid")
        return UserCaller(signed.app, subject, signed.token, signed.text)

    def bearer(self, text: str) -> App:
        """The app whose bearer token ``text`` is; raises ProblemError (89)."""
        token = self._service.credentials.load_token(hash_of(text))
        if token is None or token.kind != "bearer" or not is_live(token, self._service.clock.now_ms()):
            raise ProblemError("token-invalid")
        app = self._service.registry.load_app(token.app)
        if app is None:
            raise ProblemError("token-invalid")
        return app

    def basic(self, consumer_key: str, secret: str) -> App:
        """The app of a consumer key and its secret; raises ProblemError (99)."""
        app = self._service.registry.load_app_of_key(consumer_key)
        expected = self._dummy_secret() if app is None else self._service.parties.consumer_secret(app)
        is_same = hmac.compare_digest(expected.encode(), secret.encode())
        if app is None or not is_same:
            raise ProblemError("credentials-refused")
        return app

    def key(self, text: str) -> ApiKey:
        """The live API key that ``text`` (``glk_<id>_<secret>``) is; raises ProblemError (401)."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        found = self._service.credentials.load_key(key_id) if prefix == KEY_PREFIX and key_id else None
        expected = self._dummy_hash if found is None else found.secret_hash
        is_same = hmac.compare_digest(expected, hash_of(secret))
        if found is None or not is_same or found.revoked_at_ms is not None:
            raise ProblemError("not-authenticated", "This is no key of this service, or it was revoked.")
        return found

    def subject_of(self, tag: str) -> Subject | None:
        """The subject of a tag, or None once it was erased."""
        account_id = self.account_id_of(tag)
        return None if account_id is None else self._service.vault.find([account_id]).get(account_id)

    def account_id_of(self, tag: str) -> str | None:
        """The platform's id of a tag, or None once it was erased."""
        return self._service.vault.account_of([tag]).get(tag)

    def _token_secret(self, call: SignedCall, token: Token | None) -> str:
        if not call.token:
            return ""
        if token is None or token.secret_sealed is None:
            return self._dummy_secret()
        return self._service.sealing.open_secret(secret_context(token.token_hash), token.secret_sealed)

    def _dummy_secret(self) -> str:
        return self._service.sealing.open_secret(_DUMMY_CONTEXT, self._dummy_sealed)


def check_role(key: ApiKey, roles: tuple[Role, ...]) -> None:
    """Raise ProblemError (403), which names the roles that may, unless ``key`` has one of ``roles``."""
    if key.role not in roles:
        needed = " or ".join(roles)
        raise ProblemError(
            "role-needed",
            f"This call needs a key of the role {needed}; this one has the role {key.role}.",
            extra={"roles": list(roles), "role": key.role},
        )


def is_live(token: Token, now_ms: int) -> bool:
    """Whether ``token`` is neither revoked nor expired; its ``expires_at_ms`` itself is already expired."""
    is_over = token.expires_at_ms is not None and now_ms >= token.expires_at_ms
    return token.revoked_at_ms is None and not is_over
