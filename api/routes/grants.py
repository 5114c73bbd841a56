"""``DELETE /v1/grants/{grant}``: one grant is revoked, by whoever gave it or by the platform on its word (section 3.1).

Other than unsubscribing this needs neither the app nor a token of it, and it reaches grants that no subscription here is.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from api.account_access import end_grant
from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from ledger.core.ticket import TICKET_HEADER
from ledger.core.timestamps import format_rfc3339
from ledger.gateway.tokens import ROLES_FOR_ACCOUNTS
from ledger.gateway.words import BY_PLATFORM

router = APIRouter(prefix="/v1/grants", tags=["account"])

Revoker = Annotated[KeyCaller, Depends(key_with("person", "business", "platform"))]
GrantId = Annotated[str, Path(description="The grant's id.", examples=["g-1"])]


class RevokedGrant(BaseModel):
    """A grant that is over."""

    grant: str
    app: str
    developer: str
    environment: str
    ended_at: str = Field(description="RFC 3339; its first end, be it by an expiry or another revocation")


@router.delete("/{grant}", summary="Revoke a grant", responses=responses(401, 403, 404, 409, 422, 503))
def revoke_grant(request: Request, response: Response, grant: GrantId, caller: Revoker) -> RevokedGrant:
    """Revoke one grant of the key's account, or any with a key of the platform. Nothing more is sent under it then.

    Its subscription ends, and the app's access tokens lose what no other grant to the app covers. May be called again: a
    grant that is over stays as it is. A grant of another account is answered as one that never was.

    `x-ledger-entry` is the signed ticket of the entry that records the revocation: keep it. If the entry is ever missing,
    or stands elsewhere, `grantledger check-ticket` shows that the log broke its promise. A grant that expired, and that
    nobody revoked, has none.
    """
    key = caller.key
    is_own = key.role in ROLES_FOR_ACCOUNTS
    ended = end_grant(
        service_of(request),
        grant,
        account=key.subject if is_own else None,
        actor=f"account:{key.subject}" if is_own else f"{key.role}:{key.key}",
        channel="account_api" if is_own else BY_PLATFORM,
    )
    revoked = service_of(request).grant_tickets.of_revocation(grant)
    if revoked is not None:
        response.headers[TICKET_HEADER] = revoked.ticket
    return RevokedGrant(
        grant=ended.grant,
        app=ended.app,
        developer=ended.developer,
        environment=ended.environment,
        ended_at=format_rfc3339(ended.died_ms),
    )
