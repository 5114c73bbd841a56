"""The dependencies that routes declare: the service, and who may call.

Declare a caller with ``Annotated[AppCaller, Depends(owner)]``; :func:`limited` wraps any of them where calls are counted.
Whoever is not who a route needs gets 401 where another authentication would do, and 403 where it would not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Security
from fastapi.openapi.models import HTTPBase as HTTPBaseModel
from fastapi.security.base import SecurityBase
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth import AppCaller, Authenticator, KeyCaller, UserCaller, check_role
from api.oauth_server import OAuthServer
from api.oauth_signature import SignedCall, is_signed, parse_signed
from api.parameters import wire_of
from api.problems import ProblemError
from api.rate_limits import count_call
from api.service import Service
from api.sessions import Sessions
from ledger.errors import FormatError
from ledger.ports.credentials import Role
from ledger.service_settings import RATE_LIMITS
from ledger.transparency.static_log import StaticLog

Caller = TypeVar("Caller", AppCaller, UserCaller)


class _Documented(SecurityBase):
    """A way to authenticate, for the OpenAPI text alone: the dependency beside it does the work."""

    def __init__(self, name: str, scheme: str, description: str) -> None:
        self.scheme_name = name
        self.model = HTTPBaseModel(scheme=scheme, description=description)

    async def __call__(self) -> None:
        return None


OAUTH1 = _Documented(
    "oauth1",
    "oauth",
    "OAuth 1.0a, HMAC-SHA1: consumer key and secret, and an access token where one is needed.",
)
BEARER = _Documented("bearer", "bearer", "An app's own token, from POST /oauth2/token.")
API_KEY = _Documented("api_key", "bearer", "A key of the ledger's own API, `glk_<id>_<secret>`.")
BASIC = _Documented("basic", "basic", "Consumer key and secret, each percent-encoded.")

_OAuth1 = Annotated[None, Security(OAUTH1)]
_Bearer = Annotated[None, Security(BEARER)]
_ApiKey = Annotated[None, Security(API_KEY)]


def service_of(request: Request) -> Service:
    """The service that the application was made with."""
    return cast("Service", request.app.state.service)


def authenticator_of(request: Request) -> Authenticator:
    """What verifies callers."""
    return cast("Authenticator", request.app.state.authenticator)


def oauth_server_of(request: Request) -> OAuthServer:
    """What gives out tokens."""
    return cast("OAuthServer", request.app.state.oauth_server)


def static_log_of(request: Request) -> StaticLog:
    """The published log as files."""
    return cast("StaticLog", request.app.state.static_log)


def sessions_of(request: Request) -> Sessions:
    """Who sits in front of a page."""
    return cast("Sessions", request.app.state.sessions)


async def app_only(request: Request, _: _Bearer) -> AppCaller:
    """The app whose bearer token the call carries."""
    return await _by_bearer(request)


async def owner(request: Request, _: _OAuth1) -> AppCaller:
    """The app whose owner signed: with the owner's access token (an account's that owns it, too), or with no token."""
    return await _by_owner(request)


async def owner_or_app(request: Request, _1: _Bearer, _2: _OAuth1) -> AppCaller:
    """The app, by its bearer token or its owner's signature."""
    return await (_by_bearer(request) if _bearer_text(request) is not None else _by_owner(request))


async def any_of_app(request: Request, _1: _Bearer, _2: _OAuth1) -> AppCaller:
    """The app, however it says so: bearer token, its owner's signature, or one with any account's token."""
    if _bearer_text(request) is not None:
        return await _by_bearer(request)
    caller = await _signed(request)
    return AppCaller(caller.app, "user") if isinstance(caller, UserCaller) else caller


async def user(request: Request, _: _OAuth1) -> UserCaller:
    """The account whose access token the call is signed with, and the app."""
    caller = await _signed(request)
    if isinstance(caller, AppCaller):
        raise ProblemError("forbidden", "This call is signed with an access token of the account itself.")
    return caller


def key_with(*roles: Role) -> Callable[..., Awaitable[KeyCaller]]:
    """A dependency: a live API key of one of ``roles``."""

    async def key(request: Request, _: _ApiKey) -> KeyCaller:
        text = _bearer_text(request)
        if text is None:
            raise ProblemError(
                "not-authenticated", "This call needs an API key: Authorization: Bearer glk_…."
            )
        found = await run_in_threadpool(authenticator_of(request).key, text)
        check_role(found, roles)
        return KeyCaller(found)

    return key


def limited(family: str, caller: Callable[..., Awaitable[Caller]]) -> Callable[..., Awaitable[Caller]]:
    """The dependency ``caller``, with its calls counted in ``family``; one too many raises ProblemError (429)."""
    assert family in RATE_LIMITS, "every family has a limit"

    async def counted(request: Request, who: Caller = Depends(caller)) -> Caller:  # noqa: B008 - a closure
        state = await run_in_threadpool(count_call, service_of(request), family, who)
        # On every answer of this call, whatever comes of it: the outermost middleware adds them.
        request.state.rate_headers = state.headers()
        if state.is_over:
            now_s = service_of(request).clock.now_ms() // 1_000
            wait_s = max(1, state.resets_at_s - now_s)
            raise ProblemError("rate-limited", headers={"Retry-After": str(wait_s)})
        return who

    return counted


async def signed_call_of(request: Request) -> SignedCall:
    """What ``request`` states as a signed call, unchecked; raises ProblemError (32 without, 215 where malformed)."""
    wire = await wire_of(request)
    try:
        if is_signed(wire):
            return parse_signed(wire)
    except FormatError as error:
        raise ProblemError("authentication-malformed", f"Bad Authentication data: {error}.") from None
    raise ProblemError("not-authenticated")


async def _signed(request: Request) -> AppCaller | UserCaller:
    call = await signed_call_of(request)
    return await run_in_threadpool(authenticator_of(request).signer, call)


async def _by_owner(request: Request) -> AppCaller:
    caller = await _signed(request)
    if isinstance(caller, AppCaller):
        return caller
    if not caller.is_owner:
        raise ProblemError(
            "forbidden", "This call is signed by the app's owner, not with an account's token."
        )
    return AppCaller(caller.app, "owner")


async def _by_bearer(request: Request) -> AppCaller:
    text = _bearer_text(request)
    if text is None:
        raise ProblemError("not-authenticated")
    return AppCaller(await run_in_threadpool(authenticator_of(request).bearer, text), "bearer")


def _bearer_text(request: Request) -> str | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None
