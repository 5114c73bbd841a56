"""Erasure: a person asks for it, and two operators, or a person and an operator, decide (ledger format, section 1.2)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from api.auth import KeyCaller
from api.deps import authenticator_of, key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.wording import format_millisecond
from ledger.errors import UsageError
from ledger.ports import Subject
from ledger.ports.privacy import Erasure, ErasureState
from ledger.privacy.erasures import WORDS_CHARACTERS_MAX, Erasures

router = APIRouter(prefix="/v1", tags=["account"])

_Account = Annotated[KeyCaller, Depends(key_with("person", "business"))]
_Operator = Annotated[KeyCaller, Depends(key_with("operator"))]
_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="the request's id")]

_After = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="the id that the page begins behind")
]

PAGE_ROWS = 100

_WAITING: tuple[ErasureState, ...] = ("requested", "erasing", "erased", "clean")


class WantedErasure(BaseModel):
    """What a person writes when asking to be erased."""

    model_config = ConfigDict(extra="forbid")

    words: Annotated[
        str | None,
        Field(
            max_length=WORDS_CHARACTERS_MAX,
            description="the person's own words; the log gets a commitment to them, and they are destroyed with the rest",
        ),
    ] = None


class AskedErasure(BaseModel):
    """A request for erasure as the person sees it."""

    erasure: str
    state: str
    requested_at: str
    is_held: Annotated[
        bool,
        Field(
            description="the law asks for the account to be kept for now; the request stays open meanwhile"
        ),
    ]


class ShownErasure(BaseModel):
    """A request for erasure as operators see it; the account is a tag."""

    erasure: str
    account: str
    state: str
    basis: Literal["request", "retention"]
    policy: str | None
    requested_by: str
    requested_at: str
    decided_by: str | None
    holds: Annotated[list[str], Field(description="legal holds that stand in the way")]


class ReadErasure(ShownErasure):
    """A request for erasure with what the person wrote."""

    words: Annotated[str | None, Field(description="what the person wrote; nothing once the request is over")]


class ShownErasures(BaseModel):
    """Requests that are not over, by age; ``next`` is the ``after`` of the following page."""

    data: list[ShownErasure]
    next: str | None


class DoneErasure(BaseModel):
    """An erasure that was carried out."""

    erasure: str
    account: str
    entry: Annotated[int, Field(description="the number of the entry that says so")]
    destroyed: Annotated[dict[str, int], Field(description="rows, by what they were")]


@router.post(
    "/account/erasure",
    status_code=202,
    summary="Ask to be erased",
    responses=responses(400, 401, 403, 415, 422),
)
def ask(
    request: Request, caller: _Account, wanted: Annotated[WantedErasure | None, Body()] = None
) -> AskedErasure:
    """Ask that everything that tells who is behind this account be destroyed, with all that is kept about it.

    Another person at the operator's decides. Asked again, it is the request that is open already.
    """
    subject = _subject_of(request, caller)
    kept = _erasures(request).request(
        subject,
        basis="request",
        requested_by=f"account:{subject.tag}",
        words=None if wanted is None else wanted.words,
    )
    return _asked(request, kept)


@router.get("/account/erasure", summary="See what was asked for", responses=responses(401, 403, 404))
def see(request: Request, caller: _Account) -> AskedErasure:
    """The request of this account that is open."""
    return _asked(request, _open_of(request, _subject_of(request, caller)))


@router.delete("/account/erasure", summary="Take a request back", responses=responses(401, 403, 404, 409))
def take_back(request: Request, caller: _Account) -> AskedErasure:
    """Take the open request back, as long as nobody has approved it."""
    subject = _subject_of(request, caller)
    found = _open_of(request, subject)
    withdrawn = _erasures(request).withdraw(found.erasure, withdrawn_by=f"account:{subject.tag}")
    return _asked(request, withdrawn)


@router.get("/erasures", summary="List requests for erasure", responses=responses(400, 401, 403))
def list_erasures(request: Request, _: _Operator, after: _After = None) -> ShownErasures:
    """Requests that wait for approval, and erasures that are under way."""
    erasures = _erasures(request)
    found = erasures.load_all(_WAITING, after or "", PAGE_ROWS)
    following = found[-1].erasure if len(found) == PAGE_ROWS else None
    return ShownErasures(data=[_shown(erasures, one) for one in found], next=following)


@router.get("/erasures/{erasure}", summary="Read a request for erasure", responses=responses(401, 403, 404))
def read(request: Request, erasure: _Id, _: _Operator) -> ReadErasure:
    """A request with what the person wrote, for whoever decides about it."""
    erasures = _erasures(request)
    found = _load(erasures, erasure)
    subject = authenticator_of(request).subject_of(found.account)
    words = None if subject is None else erasures.words_of(subject, found)
    return ReadErasure(**_shown(erasures, found).model_dump(), words=words)


@router.post(
    "/erasures/{erasure}/approve",
    summary="Approve an erasure",
    responses=responses(401, 403, 404, 409, 422, 503),
)
def approve(request: Request, erasure: _Id, caller: _Operator) -> DoneErasure:
    """Carry out a request that somebody else made. This cannot be undone.

    When this is answered the key and the mapping are destroyed, and every row about the account; the database's files are
    rewritten within minutes. Refused under a legal hold, which is named. Called again, it goes on where it ended.
    """
    erasures = _erasures(request)
    _load(erasures, erasure)
    done = erasures.approve(erasure, approved_by=f"operator:{caller.key.key}", with_files=False)
    return DoneErasure(
        erasure=done.erasure,
        account=done.account,
        entry=done.seq,
        destroyed={what: rows for what, rows in done.destroyed.items() if rows},
    )


def _erasures(request: Request) -> Erasures:
    return service_of(request).privacy.erasures


def _load(erasures: Erasures, erasure: str) -> Erasure:
    try:
        return erasures.load(erasure)
    except UsageError as error:
        raise ProblemError("not-found", str(error)) from None


def _subject_of(request: Request, caller: KeyCaller) -> Subject:
    subject = authenticator_of(request).subject_of(caller.key.subject)
    if subject is None:
        raise ProblemError("not-authenticated", "The account of this key is not known here any more.")
    return subject


def _open_of(request: Request, subject: Subject) -> Erasure:
    found = _erasures(request).open_request(subject.tag)
    if found is None:
        raise ProblemError("not-found", "Nobody has asked to erase this account.")
    return found


def _asked(request: Request, kept: Erasure) -> AskedErasure:
    return AskedErasure(
        erasure=kept.erasure,
        state=kept.state,
        requested_at=format_millisecond(kept.requested_at_ms),
        is_held=_erasures(request).held(kept.account) is not None,
    )


def _shown(erasures: Erasures, one: Erasure) -> ShownErasure:
    held = erasures.held(one.account)
    return ShownErasure(
        erasure=one.erasure,
        account=one.account,
        state=one.state,
        basis=one.basis,
        policy=one.policy,
        requested_by=one.requested_by,
        requested_at=format_millisecond(one.requested_at_ms),
        decided_by=one.decided_by,
        holds=[] if held is None else [placed.hold for placed in held.holds],
    )
