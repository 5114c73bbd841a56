"""What operators do about obligations to delete: open, verify, escalate, hold, close (incidents and exports, section 5.3).

Each call is one of ``grantledger obligation``, by an operator's key, whose id stands in the entry. Waiving takes two people
and is a command alone. What a developer answers is :mod:`api.routes.obligations`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.routes.obligations import TEXT_CHARACTERS_MAX, Caller, ShownObligation, own_of, shown_of
from ledger.core.strict import INTEGER_MAX
from ledger.errors import UsageError
from ledger.ports.obligations import Obligation

router = APIRouter(prefix="/v1", tags=["obligations"])

_Operator = Annotated[KeyCaller, Depends(key_with("operator"))]
_ID = r"^[A-Za-z0-9._-]{1,64}$"
_Id = Annotated[str, Path(pattern=_ID, description="the obligation's id")]
_Words = Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]

_WRITE = responses(400, 401, 403, 404, 409, 413, 422, 503)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Checked(_Body):
    """How somebody other than the developer has checked what it attested."""

    text: _Words


class WantedStep(_Body):
    """A step against a developer that is late or was contradicted; left out: the next one."""

    step: Literal["remind", "suspend_deliveries", "suspend_app", "tell_authority"] | None = None


class WantedHold(_Body):
    """The legal hold that goes first: it stands, on the obligation's incident or on an account."""

    hold: Annotated[str, Field(pattern=_ID)]


class WantedEnd(_Body):
    """How an obligation ends."""

    text: Annotated[_Words | None, Field(description="why; the log gets a commitment")] = None
    reinstate: Annotated[
        bool, Field(description="developer and apps that its steps have stopped receive again")
    ] = False


class OpenedObligation(BaseModel):
    """What opening did for one developer."""

    obligation: ShownObligation
    is_new: bool
    unlisted: Annotated[
        int, Field(description="wrong deliveries to this developer on no list: another cause, to be assessed")
    ]


class OpenedObligations(BaseModel):
    """What opening did for each developer that received something."""

    obligations: list[OpenedObligation]


class ShownRemark(BaseModel):
    """Words that came with a step; the log holds their commitment under ``salt``."""

    version: int
    actor: str
    at: int
    text: str
    salt: str


class ShownRemarks(BaseModel):
    """What was said with the steps of an obligation, in order."""

    remarks: list[ShownRemark]


@router.post(
    "/incidents/{incident}/obligations",
    summary="Have developers delete what they received",
    responses=_WRITE,
)
def open_obligations(
    request: Request,
    caller: _Operator,
    incident: Annotated[str, Path(pattern=_ID, description="the incident's id")],
    revision: Annotated[int | None, Query(ge=1, le=INTEGER_MAX, description="left out: the last")] = None,
) -> OpenedObligations:
    """Open one obligation for each developer that received what it should not have; again, over what is new."""
    service = service_of(request)
    if service.incidents.book.load(incident) is None:
        raise ProblemError("not-found", "There is no such incident.")
    duties = service.duties
    opened = duties.obligations.open(incident, revision, actor=_actor(caller))
    return OpenedObligations(
        obligations=[
            OpenedObligation(
                obligation=shown_of(duties, one.obligation), is_new=one.is_new, unlisted=one.unlisted
            )
            for one in opened
        ]
    )


@router.post("/obligations/{obligation}/verify", summary="Say that it was checked", responses=_WRITE)
def verify(request: Request, caller: _Operator, obligation: _Id, said: Checked) -> ShownObligation:
    """What was attested was checked, by somebody other than the developer."""
    duties = service_of(request).duties
    return shown_of(duties, duties.obligations.verify(_load(request, obligation), _actor(caller), said.text))


@router.post("/obligations/{obligation}/escalate", summary="Take the next step", responses=_WRITE)
def escalate(request: Request, caller: _Operator, obligation: _Id, wanted: WantedStep) -> ShownObligation:
    """Remind, suspend deliveries, suspend the apps, tell the authority, in this order.

    What suspends answers when nothing that was on its way can leave any more.
    """
    duties = service_of(request).duties
    return shown_of(
        duties, duties.escalation.escalate(_load(request, obligation), _actor(caller), wanted.step)
    )


@router.post("/obligations/{obligation}/hold", summary="Let a legal hold go first", responses=_WRITE)
def hold(request: Request, caller: _Operator, obligation: _Id, wanted: WantedHold) -> ShownObligation:
    """No deadline runs until the hold is lifted or has run out; then it goes on by itself."""
    duties = service_of(request).duties
    return shown_of(duties, duties.obligations.hold(_load(request, obligation), wanted.hold, _actor(caller)))


@router.post("/obligations/{obligation}/resume", summary="Go on, whatever holds", responses=_WRITE)
def resume(request: Request, caller: _Operator, obligation: _Id) -> ShownObligation:
    """Let it go on where it stood, with deadlines later by as long as it was held."""
    duties = service_of(request).duties
    return shown_of(duties, duties.obligations.resume(_load(request, obligation), _actor(caller)))


@router.post("/obligations/{obligation}/close", summary="End it", responses=_WRITE)
def close(request: Request, caller: _Operator, obligation: _Id, wanted: WantedEnd) -> ShownObligation:
    """End what was verified, or escalated as far as it goes; what was only attested cannot be closed."""
    duties, found = service_of(request).duties, _load(request, obligation)
    return shown_of(
        duties, duties.escalation.close(found, _actor(caller), wanted.text, reinstate=wanted.reinstate)
    )


@router.get(
    "/obligations/{obligation}/attestation",
    summary="The attestation that counts",
    responses=responses(401, 403, 404, 503),
)
def show_attestation(request: Request, caller: Caller, obligation: _Id) -> dict[str, Any]:
    """The envelope as the developer signed it, for itself, operators, auditors and regulators."""
    duties = service_of(request).duties
    found = own_of(duties, obligation, caller)
    if found.attestation is None:
        raise ProblemError("not-found", "Nothing was attested yet.")
    return duties.attestations.open(found.attestation)


@router.get(
    "/obligations/{obligation}/remarks",
    summary="What was said with its steps",
    dependencies=[Depends(key_with("operator", "auditor", "regulator"))],
    responses=responses(401, 403, 404, 503),
)
def show_remarks(request: Request, obligation: _Id) -> ShownRemarks:
    """The words behind the commitments of its entries, with their salts."""
    found = _load(request, obligation)
    said: list[Any] = service_of(request).duties.obligations.open_remarks(found.obligation)
    return ShownRemarks(remarks=[ShownRemark(**one) for one in said])


def _load(request: Request, obligation: str) -> Obligation:
    try:
        return service_of(request).duties.obligations.load(obligation)
    except UsageError:
        raise ProblemError("not-found", "There is no obligation of this id.") from None


def _actor(caller: KeyCaller) -> str:
    return f"{caller.key.role}:{caller.key.key}"
