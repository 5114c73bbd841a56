"""An account's own calls, and how the platform signs somebody in (delivery protocol, section 3.1)."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.account_access import list_apps
from api.auth import KeyCaller
from api.deps import authenticator_of, key_with, service_of, sessions_of
from api.json_bodies import json_object
from api.openapi import responses
from api.problems import ProblemError
from api.sessions import LINK_TTL_MS
from ledger.core.ticket import TICKET_HEADER
from ledger.core.timestamps import format_rfc3339
from ledger.gateway.grant_tickets import REVOKED
from ledger.ports import Subject

router = APIRouter(prefix="/v1", tags=["account"])

_match_account = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII).fullmatch
_match_token = re.compile(r"[A-Za-z0-9._-]{1,256}", re.ASCII).fullmatch

_Platform = Annotated[KeyCaller, Depends(key_with("platform"))]
_Account = Annotated[KeyCaller, Depends(key_with("person", "business"))]


class SignInLink(BaseModel):
    """A link that signs one browser in as the account, once."""

    url: str
    expires_at: str = Field(description="RFC 3339; five minutes from now")


class AllowedScope(BaseModel):
    """One grant, and the webhook that data goes to under it."""

    grant: str
    environment: str
    scopes: list[str]
    receives: list[str] = Field(description="the scopes, in words")
    webhook_host: str = Field(
        description="empty where no webhook here rests on the grant: the platform has recorded it, and delivers itself"
    )
    granted_at: str


class AllowedApp(BaseModel):
    """An app that receives data of the account, or may begin to."""

    app: str
    name: str
    developer: str
    since: str
    may_receive: list[str] = Field(description="what its access tokens would let it begin to receive")
    grants: list[AllowedScope]


class AllowedApps(BaseModel):
    """Every app that the account has allowed anything."""

    apps: list[AllowedApp]


class AccountTicket(BaseModel):
    """The log's signed promise that an entry about a grant stands at its place."""

    grant: str
    app: str
    kind: str = Field(description="what the entry does to the grant", examples=["grant.revoked"])
    seq: int = Field(description="the place of the entry in the log")
    recorded_at: str = Field(description="RFC 3339")
    ticket: str = Field(description="what `grantledger check-ticket` takes")


class AccountTickets(BaseModel):
    """The tickets of all entries about grants of the account, in the order of the log."""

    tickets: list[AccountTicket]


class Revoked(BaseModel):
    """What was taken back."""

    app: str
    grants_revoked: int


@router.post(
    "/sessions",
    status_code=201,
    responses=responses(400, 401, 403, 415, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["account"],
                        "additionalProperties": False,
                        "properties": {
                            "account": {"type": "string", "examples": ["783214"]},
                            "oauth_token": {
                                "type": "string",
                                "description": "the request token that the person is to be asked about",
                            },
                        },
                    }
                }
            },
        }
    },
)
async def create_session(request: Request, _: _Platform) -> SignInLink:
    """A one-time link that signs a person in, for the platform to send the person's browser to at once."""
    members = await json_object(request)
    account, oauth_token = members.pop("account", None), members.pop("oauth_token", None)
    if not isinstance(account, str) or not _match_account(account):
        raise _invalid("/account", "the platform's id of an account: 1 to 64 of A-Z a-z 0-9 . _ -")
    if oauth_token is not None and not (isinstance(oauth_token, str) and _match_token(oauth_token)):
        raise _invalid("/oauth_token", "a request token")
    if members:
        raise _invalid("", "no members but account and oauth_token")
    return await run_in_threadpool(_open_link, request, account, oauth_token)


@router.get("/account/apps", responses=responses(401, 403))
def list_allowed(request: Request, caller: _Account) -> AllowedApps:
    """The apps that the account has allowed anything, and what."""
    apps = [
        AllowedApp(
            app=one.app,
            name=one.app_name,
            developer=one.developer_name,
            since=format_rfc3339(one.since_ms),
            may_receive=list(one.may_receive),
            grants=[
                AllowedScope(
                    grant=access.grant,
                    environment=access.environment,
                    scopes=list(access.scopes),
                    receives=list(access.data),
                    webhook_host=access.webhook_host,
                    granted_at=format_rfc3339(access.granted_at_ms),
                )
                for access in one.accesses
            ],
        )
        for one in list_apps(service_of(request), _subject_of(request, caller))
    ]
    return AllowedApps(apps=apps)


@router.get("/account/tickets", responses=responses(401, 403))
def list_tickets(request: Request, caller: _Account) -> AccountTickets:
    """A signed ticket of each entry that granted, changed or revoked something in the account's name.

    Keep them outside of this service. An entry that is missing later, or stands elsewhere, is shown by
    `grantledger check-ticket`: the log signed a promise that it does not keep. An entry here that the account did not ask
    for is one that somebody else made in its name.
    """
    found = service_of(request).grant_tickets.of_account(_subject_of(request, caller).tag)
    return AccountTickets(
        tickets=[
            AccountTicket(
                grant=one.grant,
                app=one.app,
                kind=f"grant.{one.verb}",
                seq=one.seq,
                recorded_at=format_rfc3339(one.recorded_at_ms),
                ticket=one.ticket,
            )
            for one in found
        ]
    )


@router.delete("/account/apps/{app}", responses=responses(401, 403))
def revoke(request: Request, response: Response, app: str, caller: _Account) -> Revoked:
    """Take back everything that the account allowed `app`: its tokens and each grant. Nothing more is sent then.

    `x-ledger-entry` is the signed ticket of the last revocation; `GET /v1/account/tickets` lists that of each.

    An app that was allowed nothing is no error: there is nothing left to take back.
    """
    subject = _subject_of(request, caller)
    count = service_of(request).accesses.revoke_app(subject, app, channel="account_api")
    revoked = [
        one for one in service_of(request).grant_tickets.of_account(subject.tag, app) if one.verb == REVOKED
    ]
    if revoked:
        response.headers[TICKET_HEADER] = revoked[-1].ticket
    return Revoked(app=app, grants_revoked=count)


def _open_link(request: Request, account: str, oauth_token: str | None) -> SignInLink:
    service = service_of(request)
    # Registered now, as everything that this person then allows names the tag.
    subject = service.parties.create_account(account)
    expires_at_ms = service.clock.now_ms() + LINK_TTL_MS
    text = sessions_of(request).open_link(subject.tag)
    query = f"?{urlencode({'oauth_token': oauth_token})}" if oauth_token else ""
    url = f"{service.settings.external_urls[0].rstrip('/')}/session/{text}{query}"
    return SignInLink(url=url, expires_at=format_rfc3339(expires_at_ms))


def _subject_of(request: Request, caller: KeyCaller) -> Subject:
    subject = authenticator_of(request).subject_of(caller.key.subject)
    if subject is None:
        raise ProblemError("not-authenticated", "The account of this key is not known here any more.")
    return subject


def _invalid(pointer: str, expected: str) -> ProblemError:
    return ProblemError(
        "invalid-parameters",
        f"#{pointer}: expected {expected}",
        errors=[{"pointer": f"#{pointer}", "detail": f"expected {expected}"}],
    )
