"""``/v1``: for the platform, which says what happens and asks before it delivers by itself (ledger format, 1.5 and 1.6).

Each call takes one item or many, and answers each by itself, in order: an item that is malformed does not hold up its
neighbours. A single item that was not taken is a problem, of many it is one of the results. Every call may be made again:
what is there already is found and said to be there.

Authorizations are asked for one by one, by many callers at a time, and each has a deadline. So this one route takes the
request as it is, past the framework's own reading of it, and calls that arrive together are decided together
(:mod:`api.gathering`). Who calls is checked by the same code as everywhere, once for each batch and key: a revoked key gets
no decision in any batch that begins after its revocation.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Security
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import cloudevents
from api.auth import Authenticator, KeyCaller, check_role
from api.deps import API_KEY, authenticator_of, key_with, service_of
from api.gathering import Gatherer
from api.json_bodies import check_json_type, parse_json, parse_object
from api.openapi import responses
from api.problems import ProblemError
from api.routes import history
from api.schemas import ingest as schemas
from api.service import Service
from ledger.errors import FormatError
from ledger.gateway.asked import Answer, AttemptAsked, Rejected
from ledger.gateway.offered import Accepted, NotAccepted, OfferedEvent
from ledger.ports.credentials import ApiKey, Role
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX

router = APIRouter(prefix="/v1")

_ROLES: tuple[Role, ...] = ("platform",)
"""Who may call: whoever could hand in grants and deliveries could make any delivery look right."""

_platform = key_with(*_ROLES)
Platform = Annotated[KeyCaller, Depends(_platform)]

_encode = msgspec.json.Encoder().encode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ERRORS = (400, 401, 403, 408, 413, 415, 422, 503)


class RawRoute(APIRoute):
    """A route whose endpoint reads the request itself; what it declares is for the OpenAPI text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint."""
        return self.endpoint


async def authorize(request: Request) -> Response:
    """Ask whether an attempt may be sent: a permit with its ticket, or a refusal with its reason.

    Decisions are 200, refusals too. A permit is given once: the same attempt asked for again is `repeated`.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise ProblemError("not-authenticated", "This call needs an API key: Authorization: Bearer glk_….")
    check_json_type(request)
    body = await request.body()
    if body[:1] == b"[" or body.lstrip()[:1] == b"[":
        decide = partial(_authorize_many, service_of(request), authenticator_of(request), text.strip(), body)
        return _json(await run_in_threadpool(decide))
    return _json(await _gatherer_of(request).hand_in((text.strip(), body)))


router.add_api_route(
    "/authorizations",
    authorize,
    methods=["POST"],
    tags=["ingest"],
    summary="Ask before delivering",
    response_class=Response,
    response_model=None,
    dependencies=[Security(API_KEY)],
    route_class_override=RawRoute,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schemas.one_or_many(schemas.ASKED_SCHEMA)}},
        }
    },
    responses={
        200: {
            "description": "Decided.",
            "content": {"application/json": {"schema": schemas.one_or_results(schemas.ANSWER_SCHEMA)}},
        },
        **responses(*_ERRORS, 409),
    },
)


@router.post(
    "/records",
    tags=["ingest"],
    summary="Report what happened",
    response_class=Response,
    response_model=None,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schemas.batch_of(schemas.RECORD_SCHEMA)},
                schemas.MEDIA_NDJSON: {"schema": {"type": "string", "description": "One record a line."}},
            },
        }
    },
    responses={
        200: {
            "description": "What became of each record, in order.",
            "content": {"application/json": {"schema": schemas.results_of(schemas.RESULT_SCHEMA)}},
        },
        **responses(*_ERRORS),
    },
)
async def report(
    request: Request,
    caller: Platform,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Names this call, for records without `at`. Holds nothing about a person.",
        ),
    ] = None,
) -> Response:
    """Append records, at most 1,000: parties, grants, and deliveries that were made.

    A delivery with the ticket of its authorization settles that attempt. Without `at` a record takes effect now, and the
    call needs an `Idempotency-Key`: the same key with the same records is the same entries.
    """
    records = _split_records(request.headers.get("content-type", ""), await request.body())
    append = partial(service_of(request).reports.append, records, _actor(caller.key), idempotency_key)
    return _json(_encode({"results": await run_in_threadpool(append)}))


@router.post(
    "/events",
    status_code=202,
    tags=["ingest"],
    summary="Hand in events for delivery",
    response_class=Response,
    response_model=None,
    dependencies=[Depends(_platform)],
    openapi_extra={"requestBody": {"required": True, "content": schemas.EVENT_BODIES}},
    responses={
        202: {
            "description": "Kept, durably, or said why not.",
            "content": {"application/json": {"schema": schemas.one_or_results(schemas.EVENT_RESULT_SCHEMA)}},
        },
        **responses(*_ERRORS, 409),
    },
)
async def take_events(request: Request) -> Response:
    """Hand in one event, an array of up to 1,000, or CloudEvents 1.0 (structured, batch or binary).

    Delivered to every webhook that the account is subscribed with. The same event again changes nothing.
    """
    offered, is_many = _offered(request, await request.body())
    answers = await _accept(service_of(request), offered)
    if is_many:
        return _json(_encode({"results": answers}), 202)
    if isinstance(answers[0], schemas.EventNotTaken):
        raise _problem(answers[0].code, answers[0].reason)
    return _json(_encode(answers[0]), 202)


router.include_router(history.router)


def _gatherer_of(request: Request) -> Gatherer[tuple[str, bytes], bytes]:
    state = request.app.state
    gatherer: Gatherer[tuple[str, bytes], bytes] | None = getattr(state, "authorizations", None)
    if gatherer is None:
        decide = partial(_authorize_each, service_of(request), authenticator_of(request))
        gatherer = state.authorizations = Gatherer(decide, BATCH_ITEMS_MAX)
    return gatherer


def _authorize_each(
    service: Service, authenticator: Authenticator, calls: Sequence[tuple[str, bytes]]
) -> Sequence[bytes | Exception]:
    """The answers to single calls (API key, body) that arrived together; runs in a thread."""
    keys = {text: _caught(_platform_key, authenticator, text) for text in {text for text, _ in calls}}
    made: list[Any] = []
    asked: list[tuple[str, AttemptAsked]] = []
    for text, body in calls:
        key = keys[text]
        one = key if isinstance(key, Exception) else _caught(_read_asked, body)
        made.append(one)
        if isinstance(one, AttemptAsked):
            asked.append((_actor(key), one))
    answers = iter(service.authorizer.authorize(asked) if asked else ())
    return [one if isinstance(one, Exception) else _answered(next(answers)) for one in made]


def _authorize_many(service: Service, authenticator: Authenticator, text: str, body: bytes) -> bytes:
    """The answer to one call with an array; runs in a thread."""
    actor = _actor(_platform_key(authenticator, text))
    stated = parse_json(body)
    _check_count(len(stated))
    made: list[AttemptAsked | Answer] = []
    for one in stated:
        try:
            made.append(msgspec.convert(one, AttemptAsked))
        except msgspec.ValidationError as error:
            made.append(Rejected(code="malformed", reason=str(error)))
    answers = iter(
        service.authorizer.authorize([(actor, one) for one in made if isinstance(one, AttemptAsked)])
    )
    return _encode({"results": [next(answers) if isinstance(one, AttemptAsked) else one for one in made]})


def _read_asked(body: bytes) -> AttemptAsked:
    try:
        return msgspec.convert(parse_object(body), AttemptAsked)
    except msgspec.ValidationError as error:
        raise ProblemError("invalid-parameters", str(error)) from None


def _answered(answer: Answer) -> bytes | Exception:
    return _problem(answer.code, answer.reason) if isinstance(answer, Rejected) else _encode(answer)


def _platform_key(authenticator: Authenticator, text: str) -> ApiKey:
    key = authenticator.key(text)
    check_role(key, _ROLES)
    return key


def _caught(call: Callable[..., Any], *arguments: Any) -> Any:
    """What ``call`` returns, or what is wrong with this one call: its neighbours are none the worse for it."""
    try:
        return call(*arguments)
    except (ProblemError, FormatError) as error:
        return error


def _split_records(content_type: str, body: bytes) -> list[bytes]:
    media = content_type.partition(";")[0].strip().lower()
    if media == schemas.MEDIA_NDJSON:
        records = [line for line in body.split(b"\n") if line.strip()]
    elif media == "application/json":
        try:
            records = [bytes(raw) for raw in _split(body)]
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise ProblemError("malformed", "The body is not a JSON array of records.") from None
    else:
        raise ProblemError(
            "unsupported-media-type", f"This call takes application/json or {schemas.MEDIA_NDJSON}."
        )
    _check_count(len(records))
    return records


def _offered(request: Request, body: bytes) -> tuple[list[OfferedEvent | NotAccepted], bool]:
    """The events in a body of whatever form, and whether they came as many."""
    headers = request.headers
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == cloudevents.BATCH:
        return [_event(cloudevents.parse_structured, one) for one in _array(body)], True
    if media == cloudevents.STRUCTURED:
        return [cloudevents.parse_structured(parse_object(body))], False
    if cloudevents.is_binary(headers):
        return [cloudevents.parse_binary(headers, body)], False
    check_json_type(request)
    if body.lstrip()[:1] != b"[":
        return [OfferedEvent(parse_object(body), body)], False
    _array(body)
    return [_event(_plain, bytes(raw)) for raw in _split(body)], True


def _array(body: bytes) -> list[Any]:
    events = parse_json(body)
    if not isinstance(events, list):
        raise FormatError("the body is not an array of events")
    _check_count(len(events))
    return events


def _plain(body: bytes) -> OfferedEvent:
    return OfferedEvent(parse_object(body), body)


def _event(parse: Callable[[Any], OfferedEvent], stated: Any) -> OfferedEvent | NotAccepted:
    try:
        return parse(stated)
    except FormatError as error:
        return NotAccepted("malformed", str(error))


async def _accept(
    service: Service, offered: Sequence[OfferedEvent | NotAccepted]
) -> list[schemas.EventResult]:
    sound = [one for one in offered if isinstance(one, OfferedEvent)]
    accepted: Sequence[Accepted | NotAccepted] = (
        await run_in_threadpool(service.intake.accept, sound) if sound else ()
    )
    answers = iter(accepted)
    return [_event_result(one if isinstance(one, NotAccepted) else next(answers)) for one in offered]


def _event_result(answer: Accepted | NotAccepted) -> schemas.EventResult:
    if isinstance(answer, NotAccepted):
        return schemas.EventNotTaken(answer.code, answer.reason)
    made = schemas.EventThere if answer.is_duplicate else schemas.EventTaken
    return made(answer.event_id, answer.parcels)


def _check_count(count: int) -> None:
    if count == 0:
        raise ProblemError("malformed", "The body has no items.")
    if count > schemas.ITEMS_MAX:
        raise ProblemError("too-large", f"One call takes at most {schemas.ITEMS_MAX:,} items.")


def _problem(code: str, reason: str) -> ProblemError:
    """A single item that was not taken; ``code`` says why, as among the results of many."""
    kind = "conflict" if code == "conflict" else "rejected"
    return ProblemError(kind, reason, extra={"code": code})


def _actor(key: ApiKey) -> str:
    return f"{key.role}:{key.key}"


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")
