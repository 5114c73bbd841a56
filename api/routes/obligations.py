"""``/v1/obligations``: what developers have to delete, and what they say about it (incidents and exports, section 5.3).

A developer sees its own, by an API key or by an app's bearer token; operators, auditors and regulators see all of them. What
is not the caller's is answered as what is not there. A developer that reads an obligation has been told of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Security
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from api.auth import KEY_PREFIX
from api.deps import API_KEY, BEARER, app_only, key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.schemas.receipts import ENVELOPE
from ledger.core.timestamps import format_rfc3339
from ledger.errors import SignatureError, UsageError
from ledger.incidents.attestations import count_claims
from ledger.incidents.obligation_states import deadlines_of
from ledger.ports.obligations import Obligation
from ledger.wiring.duties import Duties

router = APIRouter(prefix="/v1/obligations", tags=["obligations"])

_KEY_START = f"bearer {KEY_PREFIX}_"
_by_key = key_with("developer", "operator", "auditor", "regulator")
_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="the obligation's id")]

LINES_MAX = 1_000
TEXT_CHARACTERS_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Looking:
    """Who calls: ``developer`` is None for those who see everybody's; ``actor`` is ``role:id``."""

    developer: str | None
    actor: str


async def looking(
    request: Request, _1: Annotated[None, Security(BEARER)], _2: Annotated[None, Security(API_KEY)]
) -> Looking:
    """The caller, by an app's bearer token or an API key."""
    if not request.headers.get("authorization", "").lower().startswith(_KEY_START):
        app = (await app_only(request, None)).app
        return Looking(app.developer, f"developer:{app.developer}")
    key = (await _by_key(request, None)).key
    return Looking(key.subject if key.role == "developer" else None, f"{key.role}:{key.key}")


async def developer(caller: Annotated[Looking, Depends(looking)]) -> Looking:
    """The caller, who is a developer."""
    if caller.developer is None:
        raise ProblemError("role-needed", "Only the developer itself answers for its obligations.")
    return caller


Caller = Annotated[Looking, Depends(looking)]
Developer = Annotated[Looking, Depends(developer)]


class ShownObligation(BaseModel):
    """An obligation to delete what was received in ``deliveries`` deliveries, and where it stands."""

    obligation: str
    incident: str
    developer: str
    state: str
    deliveries: int
    tree_size: int
    list_root: Annotated[
        str, Field(description="RFC 6962 root over the lines of the list; an attestation names it")
    ]
    opened_at: str
    acknowledge_by: str
    delete_by: str
    attest_by: str
    overdue: list[str]
    steps: list[str]
    attestation: str | None
    claims: Annotated[
        dict[str, int] | None,
        Field(description="how many lines were attested as what; attested is not verified"),
    ]
    contradicted_by: Annotated[int | None, Field(description="the entry that contradicts the attestation")]


class ShownObligations(BaseModel):
    """Obligations, by age."""

    obligations: list[ShownObligation]


class ShownLine(BaseModel):
    """One delivery of the list; ``line`` is what the list's root is over, byte for byte."""

    place: int
    line: str


class ShownLines(BaseModel):
    """A page of the list."""

    lines: list[ShownLine]
    next: Annotated[int | None, Field(description="`first` of the next page; null behind the last one")]


class ShownProof(BaseModel):
    """That a line is on the list: an RFC 6962 inclusion proof, in hex, from the leaf's sibling upwards."""

    place: int
    count: int
    line: str
    list_root: str
    hashes: list[str]


class Answer(BaseModel):
    """What a developer says; the log holds a commitment to the words."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str | None, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)] = None


class Progress(Answer):
    """How far a developer is."""

    is_done: Annotated[bool, Field(description="everything is deleted; to be attested next")] = False


class AttestationKey(BaseModel):
    """The Ed25519 public key that a developer signs attestations with."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="32 bytes in lower-case hex")]


@router.get("", summary="Obligations to delete", responses=responses(401, 403, 503))
def list_obligations(
    request: Request, caller: Caller, incident: Annotated[str | None, Query(max_length=64)] = None
) -> ShownObligations:
    """Your obligations, or everybody's where you may see them; those of one incident, where it is named."""
    duties = service_of(request).duties
    found = duties.obligations.load_all(incident, caller.developer)
    return ShownObligations(obligations=[shown_of(duties, _told(duties, one, caller)) for one in found])


@router.get("/key", summary="The key that counts for your attestations", responses=responses(401, 403, 404))
def show_key(request: Request, caller: Developer) -> AttestationKey:
    """The public key that the log says is yours for signing attestations."""
    key = service_of(request).duties.attestations.key_of(caller.developer or "")
    if key is None:
        raise ProblemError("not-found", "You have registered no key for attestations.")
    return AttestationKey(key=key)


@router.put("/key", summary="Register the key of your attestations", responses=responses(400, 401, 403, 422))
def set_key(request: Request, caller: Developer, stated: AttestationKey) -> AttestationKey:
    """Register the public key that your attestations are signed with from now on. It is an entry of the log."""
    service_of(request).duties.attestations.set_key(caller.developer or "", stated.key, caller.actor)
    return stated


@router.get("/{obligation}", summary="One obligation", responses=responses(401, 403, 404, 503))
def show(request: Request, caller: Caller, obligation: _Id) -> ShownObligation:
    """What is to be deleted, until when, and where it stands."""
    duties = service_of(request).duties
    return shown_of(duties, _told(duties, own_of(duties, obligation, caller), caller))


@router.get("/{obligation}/deliveries", summary="Its list", responses=responses(401, 403, 404, 503))
def list_deliveries(
    request: Request,
    caller: Caller,
    obligation: _Id,
    first: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX)] = LINES_MAX,
) -> ShownLines:
    """The deliveries concerned, exactly these; never the data."""
    duties = service_of(request).duties
    found = _told(duties, own_of(duties, obligation, caller), caller)
    lines = duties.obligations.load_lines(obligation, first, limit)
    behind = first + len(lines)
    return ShownLines(
        lines=[ShownLine(place=one.place, line=one.line) for one in lines],
        next=behind if lines and behind < found.deliveries else None,
    )


@router.get(
    "/{obligation}/deliveries/{place}/proof",
    summary="That a delivery is on the list",
    responses=responses(401, 403, 404, 503),
)
def prove(
    request: Request, caller: Caller, obligation: _Id, place: Annotated[int, Path(ge=0, le=2**53)]
) -> ShownProof:
    """The inclusion proof of one line."""
    duties = service_of(request).duties
    own_of(duties, obligation, caller)
    try:
        proof = duties.obligations.prove_line(obligation, place)
    except UsageError as error:
        raise ProblemError("not-found", str(error)) from None
    return ShownProof(
        place=proof.place,
        count=proof.count,
        line=proof.line,
        list_root=proof.list_root,
        hashes=list(proof.hashes),
    )


@router.post(
    "/{obligation}/acknowledge",
    summary="Say that you know, and will act",
    responses=responses(400, 401, 403, 404, 409, 422, 503),
)
def acknowledge(request: Request, caller: Developer, obligation: _Id, said: Answer) -> ShownObligation:
    """Acknowledge the obligation; once is enough."""
    duties = service_of(request).duties
    own = own_of(duties, obligation, caller)
    return shown_of(duties, duties.obligations.acknowledge(own, caller.actor, said.text))


@router.post(
    "/{obligation}/progress",
    summary="Say how far you are",
    responses=responses(400, 401, 403, 404, 409, 422, 503),
)
def report(request: Request, caller: Developer, obligation: _Id, said: Progress) -> ShownObligation:
    """Report progress; a report that everything is deleted meets the deadline for deleting, not the one for attesting."""
    duties = service_of(request).duties
    own = own_of(duties, obligation, caller)
    return shown_of(duties, duties.obligations.report(own, caller.actor, said.text, is_done=said.is_done))


@router.post(
    "/{obligation}/attestations",
    summary="Attest, signed, what became of each delivery",
    responses=responses(400, 401, 403, 404, 409, 422, 503),
)
def attest(
    request: Request,
    caller: Developer,
    obligation: _Id,
    envelope: Annotated[Any, Body(json_schema_extra=ENVELOPE)],
) -> ShownObligation:
    """Hand in a DSSE envelope with an attestation, signed with your registered key.

    One for another list is refused. One that your key has not signed is refused and recorded.
    """
    duties = service_of(request).duties
    own = own_of(duties, obligation, caller)
    try:
        return shown_of(duties, duties.attestations.take(own, envelope, caller.actor))
    except SignatureError as error:
        raise ProblemError("rejected", str(error)) from None


def own_of(duties: Duties, obligation: str, caller: Looking) -> Obligation:
    """The obligation of this id that ``caller`` may see; anything else is answered as what is not there."""
    try:
        found = duties.obligations.load(obligation)
    except UsageError:
        found = None
    if found is None or caller.developer not in (None, found.developer):
        raise ProblemError("not-found", "You have no obligation of this id.")
    return found


def _told(duties: Duties, found: Obligation, caller: Looking) -> Obligation:
    """``found``; a developer that sees it has been told."""
    if caller.developer is None:
        return found
    return duties.obligations.note_notified(found, caller.actor)


def shown_of(duties: Duties, one: Obligation) -> ShownObligation:
    """``one`` as it is answered."""
    acknowledge_by, delete_by, attest_by = deadlines_of(one)
    kept = None if one.attestation is None else duties.attestations.load(one.attestation)
    return ShownObligation(
        obligation=one.obligation,
        incident=one.incident,
        developer=one.developer,
        state=one.state,
        deliveries=one.deliveries,
        tree_size=one.tree_size,
        list_root=one.list_root,
        opened_at=format_rfc3339(one.opened_at_ms),
        acknowledge_by=format_rfc3339(acknowledge_by.by_ms),
        delete_by=format_rfc3339(delete_by.by_ms),
        attest_by=format_rfc3339(attest_by.by_ms),
        overdue=list(one.overdue),
        steps=list(one.steps),
        attestation=one.attestation,
        claims=None if kept is None else {str(name): n for name, n in count_claims(kept.claims).items()},
        contradicted_by=one.contradicted_by,
    )
