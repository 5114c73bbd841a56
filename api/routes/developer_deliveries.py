"""The developers' tools for deliveries: every attempt and why it ended so, one delivery again, replays and how far they are.

The log of attempts names no person and holds no body. What is sent again is decided anew: the gate is asked, and refuses
what the account has ended meanwhile.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.openapi import responses
from api.problems import ProblemError
from api.routes.developer_caller import Developer, DeveloperCaller, Served
from api.routes.openapi_parts import NUMERIC
from api.routes.pages_of_lists import Cursor, Limit, format_cursor, parse_cursor
from api.schemas import developer as bodies
from api.service import Service
from api.wording import format_millisecond
from ledger.core.strict import ID_REGEX, is_id
from ledger.core.timestamps import parse_rfc3339
from ledger.ports.outbox import AttemptNote, Parcel, ParcelState, Replay

router = APIRouter()

_ID = Query(pattern=f"^{ID_REGEX}$")
Time = Annotated[
    str | None,
    Query(max_length=40, description="RFC 3339 with Z.", examples=["2026-01-15T12:00:00.000Z"]),
]
AppFilter = Annotated[
    str | None, Query(alias="app", max_length=64, description="One of your apps; else all of them.")
]
DeliveryId = Annotated[str, Path(max_length=64, description="As in the log of attempts.")]
JobId = Annotated[str, Path(description="The job's id.", json_schema_extra=NUMERIC)]


def attempt_body(note: AttemptNote) -> bodies.Attempt:
    """``note`` as developers see it."""
    return bodies.Attempt(
        delivery=note.delivery,
        attempt=note.attempt,
        webhook=note.webhook,
        app=note.app,
        event_type=note.event_type,
        at=format_millisecond(note.at_ms),
        outcome=note.outcome,
        status=note.status,
        duration_ms=note.duration_ms,
        reason=note.reason,
        seq=note.seq,
        replay=note.replay,
    )


@router.get("/deliveries", summary="The delivery log", responses=responses(400, 401, 403, 404))
def list_attempts(
    caller: Developer,
    service: Served,
    app: AppFilter = None,
    webhook: Annotated[str | None, _ID] = None,
    outcome: Annotated[bodies.Outcome | None, Query()] = None,
    event_type: Annotated[str | None, _ID] = None,
    delivery: Annotated[str | None, _ID] = None,
    from_time: Time = None,
    to_time: Time = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> bodies.AttemptList:
    """Every attempt to deliver to your webhooks and what became of it, the newest first."""
    place = parse_cursor(cursor, int, str, int)
    before = None if place is None else (int(place[0]), str(place[1]), int(place[2]))
    pages = [
        service.outbox.load_notes(
            one.app,
            webhook=webhook,
            outcome=outcome,
            event_type=event_type,
            delivery=delivery,
            from_ms=0 if from_time is None else parse_rfc3339(from_time),
            to_ms=None if to_time is None else parse_rfc3339(to_time),
            before=before,
            count_max=limit + 1,
        )
        for one in caller.choose(app)
    ]
    found = list(heapq.merge(*pages, key=_place, reverse=True))[: limit + 1]
    page = found[:limit]
    return bodies.AttemptList(
        data=[attempt_body(note) for note in page],
        meta=bodies.Page(
            result_count=len(page),
            next_cursor=format_cursor(*_place(page[-1])) if len(found) > limit else None,
        ),
    )


def _place(note: AttemptNote) -> tuple[int, str, int]:
    return note.at_ms, note.delivery, note.attempt


@router.get("/deliveries/{delivery}", summary="One delivery", responses=responses(401, 403, 404))
def get_delivery(delivery: DeliveryId, caller: Developer, service: Served) -> bodies.DeliveryAnswer:
    """Where one delivery stands, and when it is tried next."""
    return bodies.DeliveryAnswer(data=_delivery_body(*_load_own(service, caller, delivery)))


@router.post(
    "/deliveries/{delivery}/resend",
    summary="Send one delivery again",
    status_code=202,
    responses=responses(401, 403, 404, 409),
)
def resend(delivery: DeliveryId, caller: Developer, service: Served) -> bodies.DeliveryAnswer:
    """Put a delivery that was made, refused or given up on its way once more. It is decided anew."""
    parcel, _ = _load_own(service, caller, delivery)
    (app,) = caller.choose(parcel.app)
    return bodies.DeliveryAnswer(data=_delivery_body(service.replays.resend(app, delivery), "waiting"))


def _load_own(service: Service, caller: DeveloperCaller, delivery: str) -> tuple[Parcel, ParcelState]:
    found = service.outbox.load_parcel(delivery) if is_id(delivery) else None
    if found is None or found[0].app not in {app.app for app in caller.apps}:
        raise ProblemError(
            "not-found", "There is no such delivery to a webhook of yours, or it is kept no more."
        )
    return found


def _delivery_body(parcel: Parcel, state: ParcelState) -> bodies.Delivery:
    return bodies.Delivery(
        delivery=parcel.delivery,
        webhook=parcel.webhook,
        app=parcel.app,
        environment=parcel.environment,
        state=state,
        attempt=parcel.attempt,
        due_at=format_millisecond(parcel.due_at_ms),
        created_at=format_millisecond(parcel.created_at_ms),
        replay=parcel.replay,
    )


@router.get("/replays", summary="List replays", responses=responses(400, 401, 403, 404))
def list_replays(
    caller: Developer,
    service: Served,
    app: AppFilter = None,
    webhook: Annotated[str | None, _ID] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> bodies.ReplayList:
    """Replay jobs to your webhooks and how far they have come, the newest first."""
    place = parse_cursor(cursor, int, str)
    found = _load_jobs(service, caller, app, webhook)
    if place is not None:
        found = [job for job in found if (job.created_at_ms, job.job) < place]
    page = found[:limit]
    return bodies.ReplayList(
        data=[_replay_body(job) for job in page],
        meta=bodies.Page(
            result_count=len(page),
            next_cursor=format_cursor(page[-1].created_at_ms, page[-1].job) if len(found) > limit else None,
        ),
    )


@router.get("/replays/{job_id}", summary="One replay", responses=responses(401, 403, 404))
def get_replay(job_id: JobId, caller: Developer, service: Served) -> bodies.ReplayAnswer:
    """One replay job and how far it has come."""
    for job in _load_jobs(service, caller, None, None):
        if job.job == job_id:
            return bodies.ReplayAnswer(data=_replay_body(job))
    raise ProblemError("not-found", "There is no such replay to a webhook of yours.")


def _load_jobs(
    service: Service, caller: DeveloperCaller, app: str | None, webhook: str | None
) -> Sequence[Replay]:
    """Jobs of the caller's live webhooks, the newest first."""
    webhooks = [
        one.webhook
        for mine in caller.choose(app)
        for one in service.registry.load_webhooks(mine.app)
        if webhook in (None, one.webhook)
    ]
    jobs = [job for one in webhooks for job in service.outbox.load_replays(running=False, webhook=one)]
    return sorted(jobs, key=lambda job: (job.created_at_ms, job.job), reverse=True)


def _replay_body(job: Replay) -> bodies.Replay:
    return bodies.Replay(
        job_id=job.job,
        webhook=job.webhook,
        app=job.app,
        from_time=format_millisecond(job.from_ms),
        to_time=format_millisecond(job.to_ms),
        created_at=format_millisecond(job.created_at_ms),
        state=job.state,
        sent=job.sent,
        ended_at=None if job.ended_at_ms is None else format_millisecond(job.ended_at_ms),
    )
