"""Who sits in front of a page: one-time links, session cookies and what makes a form this session's own.

The platform, which knows its people, asks for a link and sends the browser there; a person with an API key may type it into a
form instead. Either way a session is a token of its own kind, kept as a hash, short-lived, and held by the browser in a
cookie that no script and no other site gets. What a text is for is told by its prefix, which is part of what is hashed, so
that a link is no cookie and neither is an access token.

A form carries an HMAC under the session's own text, which only that browser has, over what the form does: no state is kept
for it, and a form of another session, page or consent text is not this one.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from api.auth import is_live
from api.service import Service
from ledger.gateway.tokens import hash_of
from ledger.ports.credentials import Token

LINK_TTL_MS: Final = 5 * 60 * 1_000
SESSION_TTL_MS: Final = 30 * 60 * 1_000
VISIT_TTL_S: Final = 30 * 60
TOKEN_BYTES: Final = 32

_LINK = "link_"
_SESSION = "ses_"
_VISIT = "vis_"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which ``account`` (a tag) is signed in; ``text`` is what its cookie holds."""

    account: str
    text: str

    def form_proof(self, purpose: str) -> str:
        """What a form of this session for ``purpose`` carries."""
        return _proof(self.text, purpose)


class Sessions:
    """Makes, finds and ends sessions of one service; safe from any thread."""

    def __init__(self, service: Service) -> None:
        """Cookies are sent over TLS only, unless this service is there for this machine alone."""
        self._service = service
        self.is_secure = not is_local(service.settings.external_urls)
        # The prefix binds a cookie to host and path; browsers take it from TLS only.
        prefix = "__Host-" if self.is_secure else ""
        self._session_cookie = f"{prefix}ledger-session"
        self._visit_cookie = f"{prefix}ledger-visit"

    def open_link(self, account: str) -> str:
        """The text of a new one-time link for ``account`` (a tag)."""
        return self._issue(_LINK, account, LINK_TTL_MS)

    def follow_link(self, text: str) -> Session | None:
        """A session for a link that nobody has followed yet, or None."""
        if not text.startswith(_LINK):
            return None
        now_ms = self._service.clock.now_ms()
        taken = self._service.credentials.take_token(hash_of(text), now_ms)
        if taken is None or taken.kind != "session" or taken.account is None or not is_live(taken, now_ms):
            return None
        return self.begin(taken.account)

    def begin(self, account: str) -> Session:
        """A new session of ``account`` (a tag)."""
        return Session(account, self._issue(_SESSION, account, SESSION_TTL_MS))

    def find(self, request: Request) -> Session | None:
        """The live session whose cookie ``request`` has, or None."""
        text = request.cookies.get(self._session_cookie, "")
        if not text.startswith(_SESSION):
            return None
        token = self._service.credentials.load_token(hash_of(text))
        if token is None or token.kind != "session" or token.account is None:
            return None
        return Session(token.account, text) if is_live(token, self._service.clock.now_ms()) else None

    def end(self, session: Session) -> None:
        """End it, in every browser that has its cookie."""
        self._service.credentials.take_token(hash_of(session.text), self._service.clock.now_ms())

    def put_cookie(self, response: Response, session: Session) -> None:
        """Give the browser the session."""
        self._put(response, self._session_cookie, session.text, SESSION_TTL_MS // 1_000)

    def drop_cookie(self, response: Response) -> None:
        """Have the browser forget its session."""
        response.delete_cookie(
            self._session_cookie, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )

    def visit_proof(self, request: Request, purpose: str) -> str | None:
        """What a form for ``purpose`` carries in a browser without a session, or None where it has no visit cookie."""
        text = request.cookies.get(self._visit_cookie, "")
        return _proof(text, purpose) if text.startswith(_VISIT) else None

    def put_visit(self, response: Response, purpose: str) -> str:
        """Give a browser without a session something of its own; what a form for ``purpose`` then carries."""
        text = _VISIT + self._draw()
        self._put(response, self._visit_cookie, text, VISIT_TTL_S)
        return _proof(text, purpose)

    def _issue(self, prefix: str, account: str, ttl_ms: int) -> str:
        text = prefix + self._draw()
        now_ms = self._service.clock.now_ms()
        self._service.credentials.put_token(
            Token(
                token_hash=hash_of(text),
                kind="session",
                app="",
                account=account,
                secret_sealed=None,
                scopes=(),
                created_at_ms=now_ms,
                expires_at_ms=now_ms + ttl_ms,
            )
        )
        return text

    def _draw(self) -> str:
        return self._service.randomness.token(TOKEN_BYTES).hex()

    def _put(self, response: Response, name: str, text: str, seconds: int) -> None:
        response.set_cookie(
            name, text, max_age=seconds, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )


def is_proven(expected: str | None, stated: str) -> bool:
    """Whether a form carries what it has to; in constant time."""
    return expected is not None and hmac.compare_digest(expected.encode(), stated.encode())


def is_local(base_urls: Sequence[str]) -> bool:
    """Whether the service is reached without TLS and from its own machine only, as in development."""
    parts = [urlsplit(base_url) for base_url in base_urls]
    return all(one.scheme == "http" and _is_loopback(one.hostname or "") for one in parts)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _proof(text: str, purpose: str) -> str:
    return hmac.digest(text.encode(), f"form/{purpose}".encode(), "sha256").hex()
