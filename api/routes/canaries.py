"""Canaries: the operator plants them, whoever finds one reports it, and anybody may follow its link (ledger format, 1.5)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.wording import format_millisecond
from ledger.errors import UsageError
from ledger.gateway.canaries import EVIDENCE_CHARACTERS_MAX, Sighting
from ledger.ports.canaries import Canary

router = APIRouter(tags=["canaries"])

_OPERATOR = [Depends(key_with("operator"))]
Finder = Annotated[KeyCaller, Depends(key_with("operator", "auditor", "regulator"))]

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Wanted(BaseModel):
    """A made-up account to be planted as a canary of an app's developer."""

    model_config = ConfigDict(extra="forbid")

    account: Annotated[
        str, Field(pattern=r"^[0-9]{1,19}$", description="the platform's id; nobody has used it before")
    ]
    app: Id
    environment: Id | None = None
    later: Annotated[bool, Field(description="only commit to it now; release it by another call")] = False


class Shown(BaseModel):
    """A canary as its operator sees it."""

    canary: str
    developer: str
    app: str
    planted_at: str
    released_at: str | None
    fetches: int
    link: Annotated[str, Field(description="what its events hold; found elsewhere it has leaked")]


class Canaries(BaseModel):
    """All canaries, by age."""

    data: list[Shown]


class Found(BaseModel):
    """A canary's marker or link, and where it turned up."""

    model_config = ConfigDict(extra="forbid")

    marker: Annotated[
        str, Field(min_length=1, max_length=512, description="the marker, its link, or the canary's id")
    ]
    seen_by: Annotated[Id | None, Field(description="the developer that had it, where known")] = None
    evidence: Annotated[
        str | None,
        Field(max_length=EVIDENCE_CHARACTERS_MAX, description="kept as a commitment; where, when, how"),
    ] = None


class Recorded(BaseModel):
    """The entry that says so."""

    status: Literal["appended", "exists"]
    seq: int
    leaf_hash: str


@router.post(
    "/v1/canaries",
    summary="Plant a canary",
    dependencies=_OPERATOR,
    responses=responses(400, 401, 403, 413, 422, 503),
)
async def plant(request: Request, wanted: Wanted) -> Shown:
    """Commit to a made-up account in the log and, unless `later`, register it, grant and feed it."""

    def make() -> Shown:
        service = service_of(request)
        keeper = service.canaries
        try:
            canary = keeper.plant(wanted.account, wanted.app, wanted.environment)
            if not wanted.later:
                keeper.release(canary)
                keeper.feed(canary, _base_url(request))
        except UsageError as error:
            raise ProblemError("rejected", str(error)) from None
        return _shown(request, keeper.find(canary.canary) or canary)

    return await run_in_threadpool(make)


@router.post(
    "/v1/canaries/{canary}/release",
    summary="Release a canary",
    dependencies=_OPERATOR,
    responses=responses(400, 401, 403, 404, 422, 503),
)
async def release(request: Request, canary: Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]) -> Shown:
    """Register the account of a canary that was only committed to, grant and feed it; or feed it once more."""

    def make() -> Shown:
        keeper = service_of(request).canaries
        found = keeper.find(canary)
        if found is None:
            raise ProblemError("not-found", "There is no such canary.")
        try:
            keeper.release(found)
            keeper.feed(found, _base_url(request))
        except UsageError as error:
            raise ProblemError("rejected", str(error)) from None
        return _shown(request, keeper.find(canary) or found)

    return await run_in_threadpool(make)


@router.get(
    "/v1/canaries", summary="Your canaries", dependencies=_OPERATOR, responses=responses(401, 403, 503)
)
async def list_canaries(request: Request) -> Canaries:
    """All canaries with their links, and how often these were followed."""

    def load() -> Canaries:
        return Canaries(data=[_shown(request, one) for one in service_of(request).canaries.load_all()])

    return await run_in_threadpool(load)


@router.post(
    "/v1/canaries/sightings",
    summary="Report where a canary turned up",
    responses=responses(400, 401, 403, 404, 413, 422, 503),
)
async def report(request: Request, caller: Finder, found: Found) -> Recorded:
    """Record that a canary turned up, which opens its commitment; anywhere but at its developer it has leaked."""

    def see() -> Recorded:
        keeper = service_of(request).canaries
        canary = keeper.find(found.marker)
        if canary is None:
            raise ProblemError("not-found", "This is no canary of ours.")
        sighting = Sighting("report", found.seen_by, found.evidence)
        made = keeper.see(canary, sighting, f"{caller.key.role}:{caller.key.key}")
        return Recorded(
            status="appended" if made.created else "exists", seq=made.seq, leaf_hash=made.leaf_hash.hex()
        )

    return await run_in_threadpool(see)


@router.get("/c/{marker}", summary="A canary's link", responses=responses(404), status_code=404)
async def follow(request: Request, marker: Annotated[str, Path(max_length=200)]) -> None:
    """Not found, whatever it is; that the link of a canary was followed is counted."""
    await run_in_threadpool(service_of(request).canaries.fetched, marker)
    raise ProblemError("not-found")


def _base_url(request: Request) -> str:
    return service_of(request).settings.external_urls[0]


def _shown(request: Request, canary: Canary) -> Shown:
    opened = service_of(request).canaries.open(canary)
    released_at = canary.released_at_ms
    return Shown(
        canary=canary.canary,
        developer=canary.developer,
        app=canary.app,
        planted_at=format_millisecond(canary.created_at_ms),
        released_at=None if released_at is None else format_millisecond(released_at),
        fetches=canary.fetches,
        link=f"{_base_url(request)}/c/{opened.marker}",
    )
