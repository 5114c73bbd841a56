"""What the calls about incidents and policies take and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ledger.incidents.words import DOCUMENT_CHARACTERS_MAX, MOMENTS, TEXT_CHARACTERS_MAX

ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

Id = Annotated[str, Field(pattern=ID_PATTERN)]
Words = Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
At = Annotated[str | None, Field(max_length=64, description="when it was, RFC 3339 with Z; left out: now")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WantedIncident(_Body):
    """An incident to be opened by hand, from what somebody reported."""

    cause: Id
    of: Annotated[Id | None, Field(description="the grant, app, endpoint or developer it is of")] = None


class WantedStatus(_Body):
    """The status that an incident is to have from now on."""

    status: Literal["suspected", "detected", "assessed", "halted", "mitigated", "concluded"]


class WantedMoment(_Body):
    """A moment that may have started the clock of awareness."""

    moment: Annotated[str, Field(json_schema_extra={"enum": list(MOMENTS)})]
    evidence: Words
    at: At = None


class WantedDescription(_Body):
    """What a field of an incident says from now on."""

    field: Id
    text: Words


class WantedDecision(_Body):
    """A decision, and why."""

    decision: Id
    text: Words


class WantedUpdate(_Body):
    """The next public update."""

    text: Words


class WantedAuthority(_Body):
    """That an authority was told."""

    jurisdiction: Id = "gdpr"
    notification: Literal["first", "follow_up", "final"]
    document: Annotated[str, Field(min_length=1, max_length=DOCUMENT_CHARACTERS_MAX)]
    reasons: Annotated[Words | None, Field(description="why it is late; needed where it is")] = None
    at: At = None


class WantedPolicy(_Body):
    """A period that counts from now on."""

    policy: Id
    jurisdiction: Id | None = None
    period: Annotated[str, Field(max_length=32, description="a number and ms, s, m, h or d, such as 72h")]


class Incident(BaseModel):
    """An incident in a list."""

    incident: str
    cause: str
    cause_of: str | None
    status: str
    revision: int
    opened_at: str
    updated_at: str


class Incidents(BaseModel):
    """All incidents, by age."""

    data: list[Incident]


class Done(BaseModel):
    """What a call came to: the number of its kind, and whether it was made now."""

    number: int
    created: bool


class Update(BaseModel):
    """A public update; its hash stands in the log."""

    number: int
    published_at: str
    text: str
    text_sha256: str


class Updates(BaseModel):
    """The public updates of an incident, by number."""

    data: list[Update]


class Page(BaseModel):
    """A page of exposures or people; ``next`` is what to ask for with ``after``, absent on the last page."""

    data: list[dict[str, Any]]
    next: str | None = None


class Policy(BaseModel):
    """A policy in force."""

    policy: str
    jurisdiction: str | None
    period: str
    period_ms: int
    set_at: str


class Policies(BaseModel):
    """The policies in force, by name."""

    data: list[Policy]
