"""``/v1/table``: any selection of entries as CSV, JSON Lines or Parquet, as long as it is (exports, section 5.5).

For auditors and operators, as the entries' bytes are. A look at an account's or a developer's entries is durable before the
first byte. Rows of CSV and JSON Lines are sent as they are read, so a failure later on cuts the answer off: one that is whole
has its last chunk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from ledger.core.strict import ID_REGEX, INTEGER_MAX
from ledger.errors import UsageError
from ledger.exports.selecting import Selection
from ledger.exports.tables import PART_BYTES, table_parts, write_parquet
from ledger.wiring.exports import make_views
from ledger.wiring.filters import make_filter

router = APIRouter(tags=["exports"])

NAMES_MAX = 100
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}

Reader = Annotated[KeyCaller, Depends(key_with("auditor", "operator"))]
Named = Annotated[str, Query(pattern=f"^{ID_REGEX}$")]
Ids = Annotated[list[Named], Query(max_length=NAMES_MAX)]
Pairs = Annotated[
    list[Annotated[str, Query(pattern=f"^{ID_REGEX}:{ID_REGEX}$")]],
    Query(max_length=NAMES_MAX, description="ACCOUNT:DEVELOPER"),
]
Time = Annotated[str | None, Query(max_length=40, description="RFC 3339, or milliseconds since 1970")]
Number = Annotated[int | None, Query(ge=0, le=INTEGER_MAX)]
Purpose = Annotated[
    str | None, Query(pattern=f"^{ID_REGEX}$", description="What it is read for; recorded with a look.")
]


@router.get(
    "/v1/table",
    summary="A table of entries",
    responses={
        **responses(400, 401, 403, 422, 503),
        200: {
            "description": "the table, all of it",
            "content": {media: {"schema": {"type": "string"}} for media in MEDIA_TYPES.values()},
        },
    },
    response_class=StreamingResponse,
)
async def table(
    request: Request,
    caller: Reader,
    form: Annotated[Literal["csv", "jsonl", "parquet"], Query(alias="format")] = "csv",
    account: Ids = [],  # noqa: B006 - the framework copies it
    developer: Ids = [],  # noqa: B006
    pair: Pairs = [],  # noqa: B006
    kind: Annotated[list[Annotated[str, Query(max_length=64)]], Query(max_length=NAMES_MAX)] = [],  # noqa: B006
    incident: Annotated[str | None, Query(pattern=f"^{ID_REGEX}$")] = None,
    at_from: Time = None,
    at_to: Time = None,
    recorded_from: Time = None,
    recorded_to: Time = None,
    seq_from: Number = None,
    seq_to: Number = None,
    purpose: Purpose = None,
) -> StreamingResponse:
    """What `grantledger table` writes; the members of the query are its options, and several add up or narrow as there."""

    def select() -> Selection:
        ledger = service_of(request).ledger
        try:
            wanted = make_filter(
                ledger,
                accounts=account,
                developers=developer,
                pairs=pair,
                incident=incident,
                kinds=kind,
                times=(at_from, at_to, recorded_from, recorded_to),
                seqs=(seq_from, seq_to),
            )
        except UsageError as error:
            raise ProblemError("invalid-parameters", str(error)) from None
        return make_views(ledger).open(wanted, f"{caller.key.role}:{caller.key.key}", purpose)

    selection = await run_in_threadpool(select)
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="entries.{form}"',
    }
    if form == "parquet":
        parts = _pieces(await run_in_threadpool(_make_parquet, selection))
    else:
        parts = table_parts(selection.entries(), form)
    return StreamingResponse(parts, media_type=MEDIA_TYPES[form], headers=headers)


def _make_parquet(selection: Selection) -> IO[bytes]:
    """The file on disk, where nobody else finds it: its index stands at its end, so it is whole before it is sent."""
    made = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was sent
    try:
        write_parquet(selection.entries(), made)
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return made


def _pieces(opened: IO[bytes]) -> Iterator[bytes]:
    with opened:
        while piece := opened.read(PART_BYTES):
            yield piece
