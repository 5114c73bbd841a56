"""One attempt at delivering, as verdicts see it, whichever entries tell of it (verdict rules, sections 2.2 and 2.5).

An attempt is told by ``delivery.imported`` alone, or by ``delivery.attempted`` and its ``delivery.settled`` entries:
the transport's evidence wins over the rescuer's, wherever they stand in the log. An attempt without a settlement, and a
settlement without an attempt, are deliveries as well; :mod:`ledger.core.judgement` says what can be said of them.

What needs other deliveries to be known comes in as a flag: ``is_duplicate`` (the same delivery or event went to this
endpoint before), and ``raised`` for codes that others found about this attempt (a receipt that is missing, a canary).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.core.parties import Owner
from ledger.core.verdicts import Code


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom an entry says that the data reached, as resolved when it was appended.

    ``observed`` is that entry's own; ``developer`` the index claim of ``delivery.imported`` about the intended one.
    """

    seq: int
    started_at_ms: int
    disclosure: str
    observed: Any
    received_by: Owner | None
    developer: str | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt, normalised; times in milliseconds UTC.

    ``developer``, ``app`` and ``environment`` are the intended ones as far as they are *stated*: all three by an
    attempt, app and environment at most by an import, the developer alone by a settlement without attempt.
    ``started_at_ms`` is when the first body byte left, for an unsettled attempt when it was recorded.
    ``recorded_at_ms`` is the attempt's, else the first telling entry's. ``seqs`` are the telling entries', ascending.
    ``worker`` sent it; ``resolved_ip`` is what an import says that the intended name resolved to. ``private`` is None
    where only a settlement tells of it.
    """

    delivery: str
    attempt: int
    account: str
    subjects: tuple[str, ...]
    event: str | None
    event_type: str | None
    endpoint: str | None
    developer: str | None
    app: str | None
    environment: str | None
    started_at_ms: int
    disclosure: str
    observed: Any
    recorded_at_ms: int
    seqs: tuple[int, ...]
    claims: tuple[Claim, ...]
    via: str
    attempted_seq: int | None = None
    imported_seq: int | None = None
    decided_at_size: int | None = None
    send_before_ms: int | None = None
    replay: str | None = None
    ticket: str | None = None
    worker: str | None = None
    resolved_ip: str | None = None
    is_settled: bool = True
    is_disordered: bool = False
    has_other_tags: bool = False
    is_duplicate: bool = False
    raised: tuple[Code, ...] = ()
    private: bool | None = None

    @property
    def is_imported(self) -> bool:
        """Whether another system made it, so that nothing was decided here."""
        return self.imported_seq is not None

    @property
    def is_from_file(self) -> bool:
        """Whether it is history from a file, which no process of this system can have gone wrong about."""
        return self.is_imported and self.via == "file"


def _claim(entry: Any, developer: str | None = None) -> Claim:
    stated = entry.received_by
    owner = None
    if stated is not None:
        owner = Owner(stated.endpoint, stated.app, stated.environment, stated.developer)
    return Claim(
        entry.seq, entry.started_at, entry.disclosure, entry.observed, owner, developer, entry.status
    )


def from_imported(entry: Any, *, is_duplicate: bool = False, raised: tuple[Code, ...] = ()) -> Delivery:
    """The attempt that a ``delivery.imported`` tells of."""
    return Delivery(
        delivery=entry.delivery,
        attempt=entry.attempt,
        account=entry.account,
        subjects=tuple(entry.subjects),
        event=entry.event,
        event_type=entry.event_type,
        endpoint=entry.endpoint,
        developer=None,
        app=entry.app,
        environment=entry.environment,
        started_at_ms=entry.started_at,
        disclosure=entry.disclosure,
        observed=entry.observed,
        recorded_at_ms=entry.recorded_at,
        seqs=(entry.seq,),
        claims=(_claim(entry, entry.developer),),
        via=entry.via,
        imported_seq=entry.seq,
        ticket=entry.ticket,
        worker=entry.worker,
        resolved_ip=entry.resolved_ip,
        is_duplicate=is_duplicate,
        raised=raised,
        private=entry.private,
    )


def from_attempt(
    attempted: Any | None,
    settlements: Sequence[Any],
    *,
    is_duplicate: bool = False,
    raised: tuple[Code, ...] = (),
) -> Delivery:
    """The attempt that a ``delivery.attempted`` and the ``delivery.settled`` entries of the same attempt tell of.

    Either may be missing, not both. The transport's settlement is believed before the rescuer's, the earliest of each.
    """
    settled = min(settlements, key=lambda entry: (entry.by != "transport", entry.seq), default=None)
    told = settled if attempted is None else attempted
    assert told is not None, "an attempt is told by at least one entry"
    subjects = tuple(told.subjects)
    entries = settlements if attempted is None else (attempted, *settlements)
    seqs = tuple(sorted(entry.seq for entry in entries))
    attempted_seq = None if attempted is None else attempted.seq
    return Delivery(
        delivery=told.delivery,
        attempt=told.attempt,
        account=told.account,
        subjects=subjects,
        event=getattr(attempted, "event", None),
        event_type=getattr(attempted, "event_type", None),
        endpoint=getattr(attempted, "endpoint", None),
        developer=told.developer,
        app=getattr(attempted, "app", None),
        environment=getattr(attempted, "environment", None),
        started_at_ms=told.recorded_at if settled is None else settled.started_at,
        # Nobody saw what happened, so the body may have been sent.
        disclosure="possible" if settled is None else settled.disclosure,
        observed=None if settled is None else settled.observed,
        recorded_at_ms=told.recorded_at,
        seqs=seqs,
        claims=tuple(_claim(entry) for entry in settlements),
        via=told.via,
        attempted_seq=attempted_seq,
        decided_at_size=getattr(attempted, "decided_at_size", None),
        send_before_ms=getattr(attempted, "send_before", None),
        replay=getattr(attempted, "replay", None),
        # The settlement names the worker that really sent; an attempt only the one that asked.
        worker=getattr(settled, "worker", None) or getattr(attempted, "worker", None),
        is_settled=settled is not None,
        is_disordered=attempted_seq is not None and attempted_seq != seqs[0],
        has_other_tags=any(
            (entry.account, tuple(entry.subjects), entry.developer)
            != (told.account, subjects, told.developer)
            for entry in settlements
        ),
        is_duplicate=is_duplicate,
        raised=raised,
        private=getattr(attempted, "private", None),
    )
