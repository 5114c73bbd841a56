"""Notices about incidents: people read theirs, operators queue them (incidents and exports, section 5.2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from api.auth import KeyCaller
from api.deps import authenticator_of, key_with, service_of
from api.openapi import responses
from api.problems import ProblemError
from ledger.core.timestamps import format_rfc3339
from ledger.errors import RejectedError, UsageError
from ledger.incidents.notices import Told
from ledger.ports import Subject

router = APIRouter(prefix="/v1", tags=["account"])

_Account = Annotated[KeyCaller, Depends(key_with("person", "business"))]
_Platform = Annotated[KeyCaller, Depends(key_with("platform"))]
_Operator = Annotated[KeyCaller, Depends(key_with("operator"))]
_Onlooker = Annotated[KeyCaller, Depends(key_with("operator", "auditor", "regulator"))]
_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

SHOWN_MAX = 100
CONTACTS_MAX = 1_000


class ShownNotice(BaseModel):
    """A notice about an incident, as it reads now."""

    notice: str
    incident: str
    title: str
    text: Annotated[
        str, Field(description="plain text; what developers have said about deletion is of this moment")
    ]
    deletion: Annotated[
        list[str], Field(description="what became of it at each developer that has it, a sentence each")
    ]
    queued_at: str
    sent_at: str
    read_at: str | None


class ShownChange(BaseModel):
    """A change of the account's grants that it was told of."""

    number: int
    kind: str
    text: str
    at: str
    grant: str | None


class Inbox(BaseModel):
    """What an account is told."""

    notices: list[ShownNotice]
    changes: list[ShownChange]


class Contact(BaseModel):
    """Where an account wants to be told as well; what is left out stays, an empty text forgets it."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str | None, Field(max_length=254)] = None
    webhook: Annotated[
        str | None, Field(max_length=2_048, description="a business's own server; https, without a port")
    ] = None


class KeptContact(BaseModel):
    """By what the account is told besides the inbox."""

    email: bool
    webhook: bool
    webhook_secret: Annotated[
        str | None, Field(description="signs what is sent to the webhook; shown this once")
    ] = None


class PlatformContact(BaseModel):
    """Where the platform reaches one of its accounts."""

    model_config = ConfigDict(extra="forbid")

    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="the platform's id")]
    email: Annotated[str, Field(max_length=254)]


class PlatformContacts(BaseModel):
    """Addresses of accounts, for notices."""

    model_config = ConfigDict(extra="forbid")

    contacts: Annotated[list[PlatformContact], Field(min_length=1, max_length=CONTACTS_MAX)]


class ContactsKept(BaseModel):
    """How many were kept; those of accounts that the ledger does not know are not."""

    kept: int
    unknown: int


class NoticeCounts(BaseModel):
    """How many notices there are by medium and state, and how many of these were read."""

    medium: str
    state: str
    notices: int
    read: int


class Queued(BaseModel):
    """What queuing did."""

    people: int
    queued: int
    known: int
    erased: int


@router.get("/account/notices", summary="Your inbox", responses=responses(401, 403, 503))
def list_notices(
    request: Request,
    caller: _Account,
    after: Annotated[str, Query(max_length=64, description="the last notice of the page before")] = "",
    after_change: Annotated[int, Query(ge=0, description="the last change of the page before")] = 0,
) -> Inbox:
    """What the account is told: incidents that concern it, and changes of its grants; at most 100 of each."""
    service, subject = service_of(request), _subject_of(request, caller)
    told = service.duties.notices.inbox(subject.tag, after, SHOWN_MAX)
    changes = service.registry.load_notices(subject.tag, after_change, SHOWN_MAX)
    return Inbox(
        notices=[_shown(one) for one in told],
        changes=[
            ShownChange(
                number=one.number,
                kind=one.kind,
                text=one.text,
                at=format_rfc3339(one.at_ms),
                grant=one.grant,
            )
            for one in changes
        ],
    )


@router.post(
    "/account/notices/{notice}/read",
    summary="Note that you have read a notice",
    responses=responses(401, 403, 422, 503),
)
def mark_read(request: Request, caller: _Account, notice: _Id) -> ShownNotice:
    """Note in the log that the account has read it, once."""
    subject, desk = _subject_of(request, caller), service_of(request).duties.notices
    found = desk.mark_read(subject.tag, notice, _actor(caller))
    return _shown(desk.show(found))


@router.put(
    "/account/contact",
    summary="Where else you want to be told",
    responses=responses(400, 401, 403, 422, 503),
)
def set_contact(request: Request, caller: _Account, wanted: Contact) -> KeptContact:
    """Keep an address for notices, sealed under the account's own key; only a business has a webhook."""
    contacts, subject = service_of(request).duties.contacts, _subject_of(request, caller)
    secret = None
    if wanted.webhook and caller.key.role != "business":
        raise ProblemError("role-needed", "A webhook of its own is told only to a business account.")
    if wanted.email is not None:
        if wanted.email:
            contacts.set_email(subject, wanted.email)
        else:
            contacts.forget(subject.tag, "email")
    if wanted.webhook is not None:
        if wanted.webhook:
            secret = contacts.set_webhook(subject, wanted.webhook)
        else:
            contacts.forget(subject.tag, "webhook")
    media = contacts.media_of([subject.tag]).get(subject.tag, [])
    return KeptContact(email="email" in media, webhook="webhook" in media, webhook_secret=secret)


@router.put(
    "/contacts", summary="Where accounts are reached", responses=responses(400, 401, 403, 413, 422, 503)
)
def set_contacts(request: Request, _: _Platform, wanted: PlatformContacts) -> ContactsKept:
    """Hand over addresses of accounts for notices, at most 1,000; they are kept sealed, and erased with the account."""
    service = service_of(request)
    for place, one in enumerate(wanted.contacts):
        try:
            service.duties.contacts.check_email(one.email)
        except RejectedError as error:
            # Before any is kept: all of a call, or nothing.
            raise ProblemError("rejected", f"contacts[{place}]: {error}") from None
    subjects = service.vault.find([one.account for one in wanted.contacts])
    for one in wanted.contacts:
        if one.account in subjects:
            service.duties.contacts.set_email(subjects[one.account], one.email)
    kept = sum(one.account in subjects for one in wanted.contacts)
    return ContactsKept(kept=kept, unknown=len(wanted.contacts) - kept)


@router.post(
    "/incidents/{incident}/notices",
    summary="Tell everybody affected",
    responses=responses(401, 403, 404, 503),
)
def queue(request: Request, caller: _Operator, incident: _Id) -> Queued:
    """Queue a notice to everybody whom the incident's last assessment affects, once each and medium."""
    try:
        done = service_of(request).duties.notices.queue(incident, actor=_actor(caller))
    except UsageError as error:
        raise ProblemError("not-found", str(error)) from None
    return Queued(people=done.people, queued=done.queued, known=done.known, erased=done.erased)


@router.get(
    "/incidents/{incident}/notices",
    summary="How many were told",
    responses=responses(401, 403, 503),
)
def count(request: Request, _: _Onlooker, incident: _Id) -> list[NoticeCounts]:
    """How many notices of the incident there are, by medium and state; none where nobody was told."""
    return [NoticeCounts(**one._asdict()) for one in service_of(request).duties.notices.count(incident)]


def _shown(told: Told) -> ShownNotice:
    notice = told.notice
    sent_at_ms = notice.queued_at_ms if notice.sent_at_ms is None else notice.sent_at_ms
    return ShownNotice(
        notice=notice.notice,
        incident=notice.incident,
        title=told.title,
        text=told.text,
        deletion=list(told.deletion),
        queued_at=format_rfc3339(notice.queued_at_ms),
        sent_at=format_rfc3339(sent_at_ms),
        read_at=None if notice.read_at_ms is None else format_rfc3339(notice.read_at_ms),
    )


def _subject_of(request: Request, caller: KeyCaller) -> Subject:
    subject = authenticator_of(request).subject_of(caller.key.subject)
    if subject is None:
        raise ProblemError("not-authenticated", "The account of this key is not known here any more.")
    return subject


def _actor(caller: KeyCaller) -> str:
    return f"{caller.key.role}:{caller.key.key}"
