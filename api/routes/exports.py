"""Exports for whoever they were made for, and the log as a stream for SIEM systems (exports, section 5.5).

Making and approving an export is the operator's, by commands. Here auditors and regulators see which exports there are, take
a sealed one, which is recorded before its first byte, and say that they opened it. What they take is encrypted: without the
key nobody has anything. The stream holds every entry, so it is for auditors and operators: a regulator gets what somebody
asked for with a legal basis, and a second person approved.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.schemas.exports import ExportShown, ExportsShown, Recorded
from api.wording import format_millisecond
from ledger.core.strict import ID_REGEX
from ledger.errors import UsageError
from ledger.exports.streaming import EventStream
from ledger.ports.exports import Export

router = APIRouter(tags=["exports"])

_reader = key_with("auditor", "regulator", "operator")
Reader = Annotated[KeyCaller, Depends(_reader)]
Named = Annotated[str, Path(pattern=f"^{ID_REGEX}$")]

STREAM_EVENTS_MAX = 10_000
NDJSON = "application/x-ndjson"


@router.get("/v1/exports", summary="Exports", responses=responses(401, 403, 503))
async def list_exports(request: Request, caller: Reader) -> ExportsShown:
    """All exports by age, and what became of them; a regulator sees those that are sealed."""

    def load() -> ExportsShown:
        rows = service_of(request).exports.load_all()
        return ExportsShown(data=[_shown(row) for row in rows if _may_see(caller, row)])

    return await run_in_threadpool(load)


@router.get("/v1/exports/{export}", summary="An export", responses=responses(401, 403, 404, 503))
async def show(request: Request, caller: Reader, export: Named) -> ExportShown:
    """What became of one export."""
    return await run_in_threadpool(lambda: _shown(_find(request, caller, export)))


@router.get(
    "/v1/exports/{export}/file",
    summary="The sealed file of an export",
    responses={
        **responses(401, 403, 404, 422, 503),
        200: {"description": "the sealed file", "content": {"application/octet-stream": {}}},
    },
    response_class=FileResponse,
)
async def download(request: Request, caller: Reader, export: Named) -> FileResponse:
    """The sealed file; that you took it is an entry of the log before its first byte is sent."""

    def take() -> FileResponse:
        row = _find(request, caller, export)
        try:
            path = service_of(request).exports.download(export, _actor(caller))
        except UsageError as error:
            raise ProblemError("rejected", str(error)) from None
        headers = {"x-export-sha256": row.file_sha256 or "", "cache-control": "no-store"}
        return FileResponse(
            path, filename=f"{export}.sealed", media_type="application/octet-stream", headers=headers
        )

    return await run_in_threadpool(take)


@router.post(
    "/v1/exports/{export}/opened",
    summary="Say that you opened an export",
    responses=responses(401, 403, 404, 422, 503),
)
async def opened(request: Request, caller: Reader, export: Named) -> Recorded:
    """Record that you opened the sealed file; each call is one entry."""

    def note() -> Recorded:
        _find(request, caller, export)
        try:
            made = service_of(request).exports.note_opened(export, _actor(caller))
        except UsageError as error:
            raise ProblemError("rejected", str(error)) from None
        return Recorded(seq=made.seq, leaf_hash=made.leaf_hash.hex())

    return await run_in_threadpool(note)


@router.get(
    "/v1/stream",
    summary="The log as events",
    dependencies=[Depends(key_with("auditor", "operator"))],
    responses={
        **responses(401, 403, 422, 503),
        200: {
            "description": "one event a line; `x-ledger-next` is the cursor of the next call",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
    },
    response_class=Response,
)
async def stream(
    request: Request,
    form: Annotated[Literal["ocsf", "cloudevents"], Query(alias="format")] = "ocsf",
    start: Annotated[
        int, Query(alias="from", ge=0, le=2**53 - 1, description="the first entry; a cursor")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=STREAM_EVENTS_MAX)] = 1_000,
) -> Response:
    """Events of the entries from the cursor on, in order. Keep the cursor of an answer only when you have taken its events.

    An answer without events says that there is nothing new: ask again with the same cursor.
    """

    def read() -> Response:
        ledger = service_of(request).ledger
        try:
            batch = EventStream(ledger.store, ledger.origin, form).read(start, limit)
        except UsageError as error:
            raise ProblemError("invalid-parameters", str(error)) from None
        headers = {"x-ledger-next": str(batch.next_seq), "x-ledger-count": str(batch.count)}
        return Response(batch.lines, media_type=NDJSON, headers={**headers, "cache-control": "no-store"})

    return await run_in_threadpool(read)


def _find(request: Request, caller: KeyCaller, export: str) -> Export:
    try:
        row = service_of(request).exports.load(export)
    except UsageError:
        row = None
    if row is None or not _may_see(caller, row):
        raise ProblemError("not-found", "There is no such export.")
    return row


def _may_see(caller: KeyCaller, row: Export) -> bool:
    return caller.key.role != "regulator" or row.state == "sealed"


def _actor(caller: KeyCaller) -> str:
    return f"{caller.key.role}:{caller.key.key}"


def _shown(row: Export) -> ExportShown:
    return ExportShown(
        export=row.export,
        state=row.state,
        manifest=row.manifest,
        tree_size=row.tree_size,
        entries=row.entries,
        incident=row.incident,
        requested_by=row.requested_by,
        decided_by=row.decided_by,
        created_at=format_millisecond(row.created_at_ms),
        decided_at=None if row.decided_at_ms is None else format_millisecond(row.decided_at_ms),
        sealed_at=None if row.sealed_at_ms is None else format_millisecond(row.sealed_at_ms),
        file_sha256=row.file_sha256,
        file_bytes=row.file_bytes,
    )
