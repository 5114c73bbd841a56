"""``/v1/receipts``: developers say, signed, what they received (ledger format, section 1.5).

Each receipt of a call is answered by itself. A receipt that is there already is found and said to be there, so a call whose
answer was lost is made again.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.json_bodies import check_json_type, parse_json
from api.openapi import responses
from api.problems import ProblemError
from api.schemas import receipts as schemas
from ledger.gateway.receipts import RECEIPTS_MAX

router = APIRouter(prefix="/v1/receipts", tags=["receipts"])

Developer = Annotated[KeyCaller, Depends(key_with("developer"))]

_encode = msgspec.json.Encoder().encode


class ReceiptKey(BaseModel):
    """The Ed25519 public key that a developer signs receipts with."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="32 bytes in lower-case hex")]


@router.post(
    "",
    summary="Confirm what you received",
    response_class=Response,
    response_model=None,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.BATCH}}}
    },
    responses={
        200: {
            "description": "What became of each receipt, in order.",
            "content": {"application/json": {"schema": schemas.RESULTS}},
        },
        **responses(400, 401, 403, 408, 413, 415, 422, 503),
    },
)
async def take_receipts(request: Request, caller: Developer) -> Response:
    """Hand in receipts, at most 1,000, signed with your registered key.

    One that is not signed with it is refused and leaves no trace. One for a delivery that the log does not know is taken:
    it is the alarm that receipts are there for.
    """
    check_json_type(request)
    items = parse_json(await request.body())
    if not isinstance(items, list) or not items:
        raise ProblemError("malformed", "The body is not an array of receipts.")
    if len(items) > RECEIPTS_MAX:
        raise ProblemError("too-large", f"One call takes at most {RECEIPTS_MAX:,} items.")
    key = caller.key
    take = partial(service_of(request).receipts.take, items, key.subject, f"{key.role}:{key.key}")
    results = await run_in_threadpool(take)
    return Response(_encode({"results": results}), media_type="application/json")


@router.get("/key", summary="The key that counts for your receipts", responses=responses(401, 403, 404))
async def show_key(request: Request, caller: Developer) -> ReceiptKey:
    """The public key that the log says is yours for signing receipts."""
    key = await run_in_threadpool(service_of(request).receipts.key_of, caller.key.subject)
    if key is None:
        raise ProblemError("not-found", "You have registered no key.")
    return ReceiptKey(key=key)


@router.put("/key", summary="Register the key of your receipts", responses=responses(400, 401, 403, 413, 422))
async def set_key(request: Request, caller: Developer, stated: ReceiptKey) -> ReceiptKey:
    """Register the public key that your receipts are signed with from now on; it replaces the one before.

    It is an entry of the log, among yours: look there for keys that you have not set.
    """
    key = caller.key
    put = partial(service_of(request).receipts.set_key, key.subject, stated.key, f"{key.role}:{key.key}")
    await run_in_threadpool(put)
    return stated
