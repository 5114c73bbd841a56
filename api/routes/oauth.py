"""OAuth as developers' libraries speak it: tokens for apps and for accounts (delivery protocol, section 3.1).

Answers are those of the public API: form-encoded where OAuth 1.0a says so, JSON for the bearer token. Names of accounts are
not known here: ``screen_name`` repeats the account's id, so that libraries that insist on one have one.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlencode

from fastapi import APIRouter, Depends, Security
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth import UserCaller
from api.deps import (
    BASIC,
    OAUTH1,
    authenticator_of,
    oauth_server_of,
    signed_call_of,
    user,
)
from api.oauth_signature import FORM
from api.openapi import responses
from api.parameters import parameters_of
from api.problems import ProblemError
from ledger.ports.registry import App

router = APIRouter(tags=["oauth"])

_OAuth1 = Annotated[None, Security(OAUTH1)]
_Basic = Annotated[None, Security(BASIC)]
_FORM_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {FORM: {"schema": {"type": "string"}}}}}


@router.get("/oauth/request_token", include_in_schema=False)
@router.post("/oauth/request_token", responses=_FORM_ANSWER | responses(400, 401, 403, dialect="v1"))
async def request_token(request: Request, _: _OAuth1) -> Response:
    """A request token, signed for by the app alone; `oauth_callback` is one of the app's callbacks, or `oob`."""
    call = await signed_call_of(request)

    def issue() -> Response:
        signed = authenticator_of(request).signed(call)
        token = oauth_server_of(request).issue_request_token(signed.app, call.callback)
        return _form(oauth_token=token.text, oauth_token_secret=token.secret, oauth_callback_confirmed="true")

    return await run_in_threadpool(issue)


@router.get("/oauth/access_token", include_in_schema=False)
@router.post("/oauth/access_token", responses=_FORM_ANSWER | responses(400, 401, dialect="v1"))
async def access_token(request: Request, _: _OAuth1) -> Response:
    """The account's access token for a request token that it consented to, and the `oauth_verifier`; once."""
    call = await signed_call_of(request)

    def exchange() -> Response:
        signed = authenticator_of(request).signed(call, "request")
        given = oauth_server_of(request).exchange(signed, call.verifier)
        return _form(
            oauth_token=given.token.text,
            oauth_token_secret=given.token.secret,
            user_id=given.account_id,
            screen_name=given.account_id,
        )

    return await run_in_threadpool(exchange)


@router.post("/oauth2/token", responses=responses(403, dialect="v1"))
async def bearer_token(request: Request, _: _Basic) -> JSONResponse:
    """The app's bearer token, the same until it is invalidated; `grant_type=client_credentials`."""
    parameters = await parameters_of(request)

    def issue() -> JSONResponse:
        app = _basic_app(request)
        if parameters.get("grant_type") != "client_credentials":
            raise ProblemError(
                "credentials-refused", "Missing required parameter: grant_type=client_credentials", code=170
            )
        return JSONResponse({"token_type": "bearer", "access_token": oauth_server_of(request).bearer_of(app)})

    return await run_in_threadpool(issue)


@router.post("/oauth2/invalidate_token", responses=responses(403, dialect="v1"))
async def invalidate_token(request: Request, _: _Basic) -> JSONResponse:
    """Take the app's bearer token, `access_token`, back; every call with it is refused from then on."""
    parameters = await parameters_of(request)

    def invalidate() -> JSONResponse:
        text = parameters.get("access_token", "")
        oauth_server_of(request).invalidate_bearer(_basic_app(request), text)
        return JSONResponse({"access_token": text})

    return await run_in_threadpool(invalidate)


@router.get("/1.1/account/verify_credentials.json", responses=responses(401, 403, dialect="v1"))
def verify_credentials(request: Request, caller: Annotated[UserCaller, Depends(user)]) -> JSONResponse:
    """Whose access token the call is signed with."""
    account_id = authenticator_of(request).account_id_of(caller.account.tag)
    if account_id is None:
        raise ProblemError("token-invalid")
    shown: dict[str, object] = {"id_str": account_id, "screen_name": account_id, "name": account_id}
    # Ids of the platform are numbers; those of another platform, which are not, have no numeric form to give.
    return JSONResponse({"id": int(account_id)} | shown if account_id.isdigit() else shown)


def _basic_app(request: Request) -> App:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise ProblemError("credentials-refused") from None
    key, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise ProblemError("credentials-refused")
    return authenticator_of(request).basic(unquote_plus(key), unquote_plus(secret))


def _form(**pairs: str) -> Response:
    return Response(urlencode(pairs), media_type=FORM)
