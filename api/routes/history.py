"""``/v1/history``: what the log says about an account, for the account itself and for those who supervise (section 1.5).

Every look is an entry of its own before anything is shown, the account's own too. Persons and businesses see what is
theirs; auditors and regulators name the account, by the platform's id or by its tag, and regulators say what for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.schemas import ingest as schemas
from api.service import Service
from ledger.core.strict import INTEGER_MAX, is_tag
from ledger.errors import UsageError
from ledger.gateway.histories import Histories
from ledger.gateway.histories import Page as EntriesPage
from ledger.gateway.history_document import document_of
from ledger.gateway.tokens import ROLES_FOR_ACCOUNTS
from ledger.ports.credentials import ApiKey
from ledger.transparency.proving import Page
from ledger.wiring.proving import make_histories, make_proving

router = APIRouter(tags=["history"])

PAGE_ENTRIES = 200
PAGE_ENTRIES_MAX = 1_000

Reader = Annotated[KeyCaller, Depends(key_with("person", "business", "auditor", "regulator"))]
Account = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="The platform's id, or a tag; left out: one's own."),
]
After = Annotated[int, Query(ge=0, le=INTEGER_MAX, description="Entries from this number on.")]
Purpose = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="What it is read for; recorded.")
]

First = Annotated[int, Query(ge=0, le=INTEGER_MAX, description="The place of the first entry, 0 the oldest.")]
Count = Annotated[int, Query(ge=1, le=PAGE_ENTRIES_MAX, description="How many entries the page is of.")]

_Read = TypeVar("_Read")


@router.get(
    "/history",
    summary="Read an account's history",
    response_class=Response,
    response_model=None,
    responses={
        200: {
            "description": "A page of entries, oldest first.",
            "content": {"application/json": {"schema": schemas.HISTORY_SCHEMA}},
        },
        **responses(400, 401, 403, 404, 422, 503),
    },
)
async def read_history(
    request: Request, reader: Reader, account: Account = None, after: After = 0, purpose: Purpose = None
) -> Response:
    """The account's registration, standing, grants and subscriptions as the log has them, sealed or not.

    A page may be empty and yet have a `next`: it is bounded by the entries that were looked at.
    """
    service = service_of(request)
    key = reader.key
    tag = await run_in_threadpool(_reads, service, key, account, purpose)
    histories = Histories(
        sequencer=service.ledger.sequencer, store=service.ledger.store, randomness=service.randomness
    )
    read = partial(histories.read, tag, after, actor=f"{key.role}:{key.key}", purpose=purpose)
    page = await run_in_threadpool(read)
    return Response(msgspec.json.encode(_shown(tag, page)), media_type="application/json")


@router.get(
    "/history/deliveries",
    summary="Read an account's deliveries, each with its verdict",
    response_class=Response,
    response_model=None,
    responses={
        200: {
            "description": "Apps with access, and the deliveries that a page of the account's entries tells of.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **responses(400, 401, 403, 404, 422, 503),
    },
)
async def read_deliveries(
    request: Request,
    reader: Reader,
    account: Account = None,
    first: First = 0,
    count: Count = PAGE_ENTRIES,
    purpose: Purpose = None,
) -> Response:
    """What `grantledger history --json` prints, of a page of the account's entries, as of the published checkpoint.

    A delivery is told on the page of its first entry. Whether it repeats another one is told of those of the same page.
    """
    service = service_of(request)
    tag = await run_in_threadpool(_reads, service, reader.key, account, purpose)

    def read() -> dict[str, Any]:
        page = Page(first, count)
        histories = make_histories(service.ledger)
        found = histories.read(tag, page, actor=f"{reader.key.role}:{reader.key.key}", purpose=purpose)
        return document_of(tag, found)

    document = await run_in_threadpool(_of_what_is_sealed, read)
    reached = document["first"] + document["shown"]
    if reached < document["count"]:
        document["next"] = reached
    return Response(msgspec.json.encode(document), media_type="application/json")


@router.get(
    "/history/proof",
    summary="Prove that an account sees all that is recorded about it",
    response_class=Response,
    response_model=None,
    responses={
        200: {
            "description": "A completeness bundle; `verify.py` checks it without this service.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **responses(400, 401, 403, 404, 422, 503),
    },
)
async def prove_history(
    request: Request,
    reader: Reader,
    account: Account = None,
    first: First | None = None,
    count: Count = PAGE_ENTRIES,
    purpose: Purpose = None,
) -> Response:
    """The bundle of the account's entries, or with `first` a page of them, byte for byte as it is checked."""
    service = service_of(request)
    tag = await run_in_threadpool(_reads, service, reader.key, account, purpose)

    def prove() -> bytes:
        proving = make_proving(service.ledger)
        record = Histories(
            sequencer=service.ledger.sequencer, store=service.ledger.store, randomness=service.randomness
        ).record
        record(tag, actor=f"{reader.key.role}:{reader.key.key}", purpose=purpose)
        page = None if first is None else Page(first, count)
        return proving.encode(proving.prover.prove_key(f"acct:{tag}", page))

    return Response(await run_in_threadpool(_of_what_is_sealed, prove), media_type="application/json")


def _of_what_is_sealed(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except UsageError as error:
        # Nothing is sealed yet, or the page lies beyond the end.
        raise ProblemError("invalid-parameters", str(error)) from error


def _reads(service: Service, key: ApiKey, account: str | None, purpose: str | None) -> str:
    """The tag of the account that ``key`` reads; raises ProblemError where it may not, or does not say what for."""
    if key.role == "regulator" and purpose is None:
        raise ProblemError("invalid-parameters", "Say what it is read for (purpose).")
    return _tag_of(service, key, account)


def _tag_of(service: Service, key: ApiKey, account: str | None) -> str:
    """The tag of the account that ``key`` may read; raises ProblemError where it may not, or there is no such account."""
    own = key.subject if key.role in ROLES_FOR_ACCOUNTS else None
    if account is None:
        if own is None:
            raise ProblemError("invalid-parameters", "Name the account.")
        return own
    account_id = service.vault.account_of([account]).get(account) if is_tag(account) else account
    known = {} if account_id is None else service.vault.find([account_id])
    tag = None if account_id not in known else known[account_id].tag
    if own is not None and tag != own:
        # The same answer whether there is such an account or not.
        raise ProblemError("forbidden", "This key reads the history of its own account only.")
    if tag is None:
        raise ProblemError("not-found", "There is no such account.")
    assert account_id is not None, "who has a tag has an id"
    # A tag may lie in the vault that no entry has used yet; looking at it is a use, and a registration comes first.
    return service.parties.create_account(account_id).tag


def _shown(tag: str, page: EntriesPage) -> schemas.HistoryPage:
    entries = [
        schemas.HistoryEntry(row.seq, row.leaf_hash.hex(), msgspec.json.decode(row.data))
        for row in page.entries
    ]
    following = msgspec.UNSET if page.is_last else page.searched_to
    return schemas.HistoryPage(tag, entries, page.searched_to, following)
