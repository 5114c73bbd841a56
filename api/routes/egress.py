"""``/v1/egress``: egress proxies hand in what they counted, signed (ledger format, section 1.5)."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.json_bodies import check_json_type, parse_json
from api.openapi import responses
from api.problems import ProblemError
from api.schemas import receipts as schemas
from ledger.gateway.egress_counts import COUNTS_MAX

router = APIRouter(prefix="/v1/egress", tags=["egress"])

Operator = Annotated[KeyCaller, Depends(key_with("operator"))]

_encode = msgspec.json.Encoder().encode


@router.post(
    "",
    summary="Hand in what a proxy counted",
    response_class=Response,
    response_model=None,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.COUNTS}}}
    },
    responses={
        200: {
            "description": "What became of each count, in order.",
            "content": {"application/json": {"schema": schemas.COUNT_RESULTS}},
        },
        **responses(400, 401, 403, 408, 413, 415, 422, 503),
    },
)
async def take_counts(request: Request, caller: Operator) -> Response:
    """Hand in counts, at most 1,000, each a DSSE envelope signed with the proxy's key. The same again changes nothing."""
    check_json_type(request)
    items = parse_json(await request.body())
    if not isinstance(items, list) or not items:
        raise ProblemError("malformed", "The body is not an array of counts.")
    if len(items) > COUNTS_MAX:
        raise ProblemError("too-large", f"One call takes at most {COUNTS_MAX:,} items.")
    key = caller.key
    take = partial(service_of(request).egress_counts.take, items, f"{key.role}:{key.key}")
    results = await run_in_threadpool(take)
    return Response(_encode({"results": results}), media_type="application/json")
