"""``/v1/incidents`` and ``/v1/policies``: what went wrong, what is said of it, and what is due (incidents, section 5.1).

Operators write; auditors and regulators read. The numbered updates are everybody's: an incident without any is not there
for strangers. Opening incidents from findings takes a verification, which is a command and no call.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.auth import KeyCaller
from api.deps import key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from api.schemas import incidents as schemas
from api.wording import format_millisecond
from ledger.core.strict import INTEGER_MAX
from ledger.core.timestamps import parse_instant
from ledger.errors import FormatError
from ledger.incidents.art33 import make_draft
from ledger.incidents.document import summary_of, updates_of
from ledger.incidents.incidents import IncidentDesk
from ledger.incidents.policies import format_period, parse_period
from ledger.incidents.recording import Written
from ledger.ports.incidents import Incident
from ledger.wiring.incidents import IncidentParts

router = APIRouter(prefix="/v1", tags=["incidents"])

PAGE_ROWS_MAX = 1_000

_reader = key_with("operator", "auditor", "regulator")
_Reader = [Depends(_reader)]
_Looker = Annotated[KeyCaller, Depends(_reader)]
_Operator = Annotated[KeyCaller, Depends(key_with("operator"))]
_Id = Annotated[str, Path(pattern=schemas.ID_PATTERN, description="the incident's id")]
_Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)]
_Revision = Annotated[int | None, Query(ge=1, le=INTEGER_MAX, description="left out: the last")]

_READ = responses(401, 403, 404, 503)
_WRITE = responses(400, 401, 403, 404, 409, 413, 422, 503)


@router.get("/incidents", summary="List incidents", dependencies=_Reader, responses=responses(401, 403, 503))
def list_incidents(request: Request) -> schemas.Incidents:
    """All incidents, by age."""
    found = _parts(request).book.load_all()
    return schemas.Incidents(data=[schemas.Incident(**summary_of(one)) for one in found])


@router.post("/incidents", status_code=201, summary="Open an incident by hand", responses=_WRITE)
def open_incident(request: Request, caller: _Operator, wanted: schemas.WantedIncident) -> schemas.Incident:
    """Open an incident as suspected, from what somebody reported; where one of this cause is open, it is that one."""
    desk = _parts(request).desk
    desk.open(wanted.cause, wanted.of, _actor(caller))
    found = desk.open_of(wanted.cause, wanted.of)
    assert found is not None, "it was opened, or was open"
    return schemas.Incident(**summary_of(found))


@router.get("/incidents/{incident}", summary="Read an incident", dependencies=_Reader, responses=_READ)
def read_incident(request: Request, incident: _Id) -> dict[str, Any]:
    """Everything about it: people counted, receivers, awareness, deadlines, words, decisions, updates, timeline."""
    _load(request, incident)
    return _parts(request).document(incident)


@router.get(
    "/incidents/{incident}/deliveries",
    summary="Page through its exposures",
    responses=_READ,
)
def read_deliveries(
    request: Request,
    caller: _Looker,
    incident: _Id,
    after: Annotated[int, Query(ge=-1, le=INTEGER_MAX)] = -1,
    limit: _Limit = 100,
    revision: _Revision = None,
    received_by: Annotated[str | None, Query(pattern=schemas.ID_PATTERN)] = None,
) -> schemas.Page:
    """The lines of a frozen finding set, in order; people are tags. Each page that is looked at is an entry."""
    number = _revision(_load(request, incident), revision)
    _parts(request).desk.note_look(incident, _actor(caller))
    rows = _parts(request).book.deliveries(
        incident, number, after=after, limit=limit, received_by=received_by
    )
    following = str(rows[-1].position) if len(rows) == limit else None
    return schemas.Page(data=[asdict(one) for one in rows], next=following)


@router.get("/incidents/{incident}/people", summary="Page through its people", responses=_READ)
def read_people(
    request: Request,
    caller: _Looker,
    incident: _Id,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: _Limit = 100,
    revision: _Revision = None,
) -> schemas.Page:
    """Everybody whom a revision affects, once, by tag. Each page that is looked at is an entry."""
    number = _revision(_load(request, incident), revision)
    _parts(request).desk.note_look(incident, _actor(caller))
    rows = _parts(request).book.people(incident, number, after=after, limit=limit)
    following = rows[-1].account if len(rows) == limit else None
    return schemas.Page(data=[asdict(one) for one in rows], next=following)


@router.get("/incidents/{incident}/updates", summary="Read the public updates", responses=responses(404, 503))
def read_updates(request: Request, incident: _Id) -> schemas.Updates:
    """The numbered, dated updates; no key is needed. The hash of each text stands in the log."""
    found = updates_of(_parts(request).book, incident)
    if not found:
        raise ProblemError("not-found", "There is no incident of this id with public updates.")
    return schemas.Updates(data=[schemas.Update(**one) for one in found])


@router.get(
    "/incidents/{incident}/art33",
    summary="Draft the notification to an authority",
    dependencies=_Reader,
    responses=responses(400, 401, 403, 404, 503),
)
def read_draft(
    request: Request,
    incident: _Id,
    notification: Annotated[
        Literal["first", "follow_up", "final"] | None,
        Query(alias="type", description="left out: what is due next"),
    ] = None,
    jurisdiction: Annotated[str, Query(pattern=schemas.ID_PATTERN)] = "gdpr",
) -> dict[str, Any]:
    """Each field from the log and its words, or listed as missing."""
    _load(request, incident)
    now_ms = service_of(request).clock.now_ms()
    return make_draft(_parts(request).document(incident), jurisdiction, notification, now_ms)


@router.post("/incidents/{incident}/status", summary="Set the status", responses=_WRITE)
def set_status(
    request: Request, caller: _Operator, incident: _Id, wanted: schemas.WantedStatus
) -> schemas.Done:
    """Let the incident have this status from now on; concluded is final."""
    return _done(_desk(request, incident).set_status(incident, wanted.status, _actor(caller)))


@router.post("/incidents/{incident}/moments", summary="Claim a moment", responses=_WRITE)
def claim_moment(
    request: Request, caller: _Operator, incident: _Id, wanted: schemas.WantedMoment
) -> schemas.Done:
    """Record a moment that may have started the clock, with its evidence, of which the log gets a commitment."""
    desk, at_ms = _desk(request, incident), _instant(wanted.at)
    return _done(desk.claim_moment(incident, wanted.moment, wanted.evidence, _actor(caller), at_ms))


@router.post("/incidents/{incident}/descriptions", summary="Describe it", responses=_WRITE)
def describe(
    request: Request, caller: _Operator, incident: _Id, wanted: schemas.WantedDescription
) -> schemas.Done:
    """Say what a field is: title, root cause, risk, measures, parties; earlier words stay readable."""
    return _done(_desk(request, incident).describe(incident, wanted.field, wanted.text, _actor(caller)))


@router.post("/incidents/{incident}/decisions", summary="Record a decision", responses=_WRITE)
def decide(
    request: Request, caller: _Operator, incident: _Id, wanted: schemas.WantedDecision
) -> schemas.Done:
    """Record a decision with its reasons."""
    return _done(_desk(request, incident).decide(incident, wanted.decision, wanted.text, _actor(caller)))


@router.post("/incidents/{incident}/updates", summary="Publish an update", responses=_WRITE)
def publish_update(
    request: Request, caller: _Operator, incident: _Id, wanted: schemas.WantedUpdate
) -> schemas.Done:
    """Publish the next update, which everybody may read from then on."""
    return _done(_desk(request, incident).publish_update(incident, wanted.text, _actor(caller)))


@router.post(
    "/incidents/{incident}/authorities", summary="Record that an authority was told", responses=_WRITE
)
def note_authority_told(
    request: Request, caller: _Operator, incident: _Id, wanted: schemas.WantedAuthority
) -> schemas.Done:
    """Record a first, follow-up or final notification; a late first one needs reasons."""
    done = _desk(request, incident).note_authority_told(
        incident,
        wanted.jurisdiction,
        wanted.notification,
        wanted.document,
        _actor(caller),
        at_ms=_instant(wanted.at),
        reasons=wanted.reasons,
    )
    return _done(done)


@router.get("/policies", summary="List policies", dependencies=_Reader, responses=responses(401, 403, 503))
def list_policies(request: Request) -> schemas.Policies:
    """The policies in force, by name."""
    rows = [
        schemas.Policy(
            policy=one.policy,
            jurisdiction=one.jurisdiction or None,
            period=format_period(one.period_ms),
            period_ms=one.period_ms,
            set_at=format_millisecond(one.set_at_ms),
        )
        for one in _parts(request).policies.in_force()
    ]
    return schemas.Policies(data=rows)


@router.post("/policies", summary="Set a policy", responses=responses(400, 401, 403, 409, 413, 422, 503))
def set_policy(request: Request, caller: _Operator, wanted: schemas.WantedPolicy) -> schemas.Policies:
    """Let a policy give another period from now on; deadlines that have begun keep theirs."""
    period_ms = parse_period(wanted.period)
    _parts(request).policies.set(wanted.policy, wanted.jurisdiction, period_ms, _actor(caller))
    return list_policies(request)


def _parts(request: Request) -> IncidentParts:
    return service_of(request).incidents


def _load(request: Request, incident: str) -> Incident:
    found = _parts(request).book.load(incident)
    if found is None:
        raise ProblemError("not-found", "There is no such incident.")
    return found


def _desk(request: Request, incident: str) -> IncidentDesk:
    _load(request, incident)
    return _parts(request).desk


def _revision(incident: Incident, wanted: int | None) -> int:
    if wanted is not None and wanted > incident.revision:
        raise ProblemError("not-found", "The incident has no such revision.")
    return incident.revision if wanted is None else wanted


def _actor(caller: KeyCaller) -> str:
    return f"{caller.key.role}:{caller.key.key}"


def _instant(text: str | None) -> int | None:
    try:
        return None if text is None else parse_instant(text)
    except FormatError as error:
        raise ProblemError("malformed", f"at: {error}") from None


def _done(written: Written) -> schemas.Done:
    return schemas.Done(number=written.number, created=written.created)
