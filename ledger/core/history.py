"""What the entries say about grants and parties, indexed for folds (verdict rules, sections 2.1 and 2.5).

:class:`History` takes entries in append order and keeps, per grant, account, developer, app, endpoint,
destination and processor, the events that a fold needs. It decides nothing: :mod:`ledger.core.parties` and
:mod:`ledger.core.grants` fold. Entries are read by attribute access alone, so that any decoder's objects will
do, and what is no part of the rule (deliveries, the log's own entries) is passed over.

Rules kept here because they say *whose* event an entry is:

- A grant belongs to the account of its first ``grant.issued`` in the log. An event of that grant by another
  account, or a second issue that names another app or environment, is never folded; such an entry can only
  have been forced in (:mod:`ledger.core.admission` refuses it), and :mod:`ledger.core.ledger_findings` tells
  of it.
- Events that stand in the log before their grant's first issue wait for it (forced in as well); once it is
  there they count, so that a revocation is never lost.

Every event about a developer, app, endpoint or processor is told to :class:`ledger.core.recall.Recall`, which keeps
what was answered about them before.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.core.destinations import Destination, parse_url
from ledger.core.folding import PERMISSIVE, Event, Line, Steps, rank_of
from ledger.core.holds import Holds
from ledger.core.recall import Recall
from ledger.core.scopes import mask_of
from ledger.core.source_keys import SourceKeys
from ledger.errors import FormatError

if TYPE_CHECKING:
    from ledger.core.timelines import Timeline


class Terms(NamedTuple):
    """What ``grant.issued`` or ``grant.amended`` states; None is left out. ``scopes`` is a mask of section 2.1."""

    developer: str | None
    scopes: int | None
    expires_at_ms: int | None


class Holding(NamedTuple):
    """Whose an endpoint is, and where it lies; ``destination`` is None for a URL that only a forced entry can hold."""

    app: str
    environment: str
    url: str
    destination: Destination | None


class Declared(NamedTuple):
    """A ``processor.declared``: live until ``until_ms``, or for ever."""

    processor: str
    until_ms: int | None


class EndpointCheck(NamedTuple):
    """A challenge of an endpoint: whether it passed, what the name resolved to, and whose key answered."""

    at: int
    seq: int
    passed: bool
    addresses: tuple[str, ...]
    spki_sha256: str | None


class Replay(NamedTuple):
    """A ``replay.requested``."""

    seq: int
    endpoint: str


class Subscription(NamedTuple):
    """What a subscription binds together, as created."""

    account: str
    developer: str
    app: str
    environment: str
    endpoint: str
    grant: str


class AccountRecord:
    """An account: its grants in append order, and its standing events where there are any."""

    __slots__ = ("account", "grants", "standing")

    def __init__(self, account: str) -> None:
        self.account = account
        self.grants: list[GrantRecord] = []
        self.standing: Line[Steps[str]] | None = None


class GrantRecord:
    """A grant: what cannot be amended, its events in append order, and the timeline made of all of them."""

    __slots__ = ("account", "app", "environment", "events", "grant", "seq", "timeline")

    def __init__(self, grant: str, account: AccountRecord, app: str, environment: str, seq: int) -> None:
        self.grant = grant
        self.account = account
        self.app = app
        self.environment = environment
        self.seq = seq
        self.events: list[Event] = []
        self.timeline: Timeline | None = None


class DeveloperRecord:
    """A developer: its standing, and the processors it declared."""

    __slots__ = ("developer", "processors", "standing")

    def __init__(self, developer: str) -> None:
        self.developer = developer
        self.standing: Line[Steps[str]] = Line()
        self.processors: Line[dict[str, Steps[int]]] = Line()


class AppRecord:
    """An app: its owners and its standing."""

    __slots__ = ("app", "owners", "standing")

    def __init__(self, app: str) -> None:
        self.app = app
        self.owners: Line[Steps[str]] = Line()
        self.standing: Line[Steps[str]] = Line()


class EndpointRecord:
    """An endpoint: who held it, its challenges; ``seq`` is its first registration's."""

    __slots__ = ("checks", "endpoint", "holdings", "seq")

    def __init__(self, endpoint: str, seq: int) -> None:
        self.endpoint = endpoint
        self.seq = seq
        self.holdings: Line[Steps[Holding | None]] = Line()
        self.checks: list[EndpointCheck] = []


class History:
    """All events that verdicts depend on, by what they are about."""

    __slots__ = (
        "_waiting",
        "accounts",
        "apps",
        "destinations",
        "developers",
        "ended_subscriptions",
        "endpoints",
        "grants",
        "holds",
        "keys",
        "pins",
        "recall",
        "replays",
        "subscriptions",
    )

    def __init__(self) -> None:
        self.accounts: dict[str, AccountRecord] = {}
        self.grants: dict[str, GrantRecord] = {}
        self.developers: dict[str, DeveloperRecord] = {}
        self.apps: dict[str, AppRecord] = {}
        self.endpoints: dict[str, EndpointRecord] = {}
        self.destinations: dict[Destination, list[EndpointRecord]] = {}
        self.pins: dict[str, list[EndpointRecord]] = {}
        self.replays: dict[str, Replay] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.ended_subscriptions: dict[str, int] = {}
        self.keys = SourceKeys()
        self.holds = Holds()
        self.recall = Recall()
        self._waiting: dict[str, list[tuple[str, Event]]] = {}

    def add(self, entry: Any) -> None:
        """Take ``entry``, which stands in the log after all that were added before; any kind."""
        plan = _PLANS.get(entry.kind)
        if plan is not None:
            plan[0](self, entry, plan[1], plan[2])

    def account(self, account: str) -> AccountRecord:
        """The record of ``account``, made when there is none."""
        record = self.accounts.get(account)
        if record is None:
            record = self.accounts[account] = AccountRecord(account)
        return record

    def developer(self, developer: str) -> DeveloperRecord:
        """The record of ``developer``, made when there is none."""
        record = self.developers.get(developer)
        if record is None:
            record = self.developers[developer] = DeveloperRecord(developer)
        return record

    def _app(self, app: str) -> AppRecord:
        record = self.apps.get(app)
        if record is None:
            record = self.apps[app] = AppRecord(app)
        return record

    def _endpoint(self, endpoint: str, seq: int) -> EndpointRecord:
        record = self.endpoints.get(endpoint)
        if record is None:
            record = self.endpoints[endpoint] = EndpointRecord(endpoint, seq)
        return record

    def _add_account(self, entry: Any, verb: str, rank: int) -> None:
        record = self.account(entry.account)
        if verb == "registered":
            return
        if record.standing is None:
            record.standing = Line()
        record.standing.add(_event(entry, verb, rank, None))
        if verb == "deleted":
            # The deletion ends the account's grants, which their kept timelines do not know yet.
            for grant in record.grants:
                grant.timeline = None

    def _add_developer(self, entry: Any, verb: str, rank: int) -> None:
        record = self.developer(entry.developer)
        self.recall.add(entry.seq, entry.at)
        if verb != "registered":
            record.standing.add(_event(entry, verb, rank, None))

    def _add_app(self, entry: Any, verb: str, rank: int) -> None:
        record = self._app(entry.app)
        self.recall.add(entry.seq, entry.at)
        if verb in ("registered", "transferred"):
            record.owners.add(_event(entry, verb, rank, intern(entry.developer)))
        else:
            record.standing.add(_event(entry, verb, rank, None))

    def _add_endpoint(self, entry: Any, verb: str, rank: int) -> None:
        record = self._endpoint(entry.endpoint, entry.seq)
        self.recall.add(entry.seq, entry.at)
        if verb == "registered":
            holding = Holding(
                intern(entry.app), intern(entry.environment), entry.url, _destination_or_none(entry.url)
            )
            record.holdings.add(_event(entry, verb, rank, holding))
            if holding.destination is not None:
                there = self.destinations.setdefault(holding.destination, [])
                if record not in there:
                    there.append(record)
        elif verb == "transferred":
            environment = None if entry.environment is None else intern(entry.environment)
            record.holdings.add(_event(entry, verb, rank, (intern(entry.app), environment)))
        elif verb == "retired":
            record.holdings.add(_event(entry, verb, rank, None))
        else:
            self._add_check(record, entry, verb == "verified")

    def _add_check(self, record: EndpointRecord, entry: Any, passed: bool) -> None:
        record.checks.append(
            EndpointCheck(entry.at, entry.seq, passed, tuple(entry.addresses or ()), entry.spki_sha256)
        )
        if passed and entry.spki_sha256 is not None:
            pinned = self.pins.setdefault(entry.spki_sha256, [])
            if record not in pinned:
                pinned.append(record)

    def _add_processor(self, entry: Any, verb: str, rank: int) -> None:
        declared = Declared(intern(entry.processor), entry.until)
        self.recall.add(entry.seq, entry.at, entry.until)
        self.developer(entry.developer).processors.add(_event(entry, verb, rank, declared))

    def _add_issue(self, entry: Any, verb: str, rank: int) -> None:
        record = self.grants.get(entry.grant)
        if record is None:
            account = self.account(entry.account)
            record = GrantRecord(
                entry.grant, account, intern(entry.app), intern(entry.environment), entry.seq
            )
            self.grants[entry.grant] = record
            account.grants.append(record)
            if self._waiting:
                waiting = self._waiting.pop(entry.grant, ())
                record.events.extend(event for named, event in waiting if named == entry.account)
        elif (entry.account, entry.app, entry.environment) != (
            record.account.account,
            record.app,
            record.environment,
        ):
            return
        terms = Terms(intern(entry.developer), mask_of(entry.scopes), entry.expires_at)
        record.events.append(_event(entry, verb, rank, terms))
        record.timeline = None

    def _add_grant(self, entry: Any, verb: str, rank: int) -> None:
        terms = None
        if verb == "amended":
            # ``developer`` is looked up where the amendment does not name one; ``previous_developer`` tells which.
            developer = None if entry.previous_developer is None else intern(entry.developer)
            scopes = None if entry.scopes is None else mask_of(entry.scopes)
            terms = Terms(developer, scopes, entry.expires_at)
        event = _event(entry, verb, rank, terms)
        record = self.grants.get(entry.grant)
        if record is None:
            self._waiting.setdefault(entry.grant, []).append((entry.account, event))
        elif entry.account == record.account.account:
            record.events.append(event)
            record.timeline = None

    def _add_subscription(self, entry: Any, verb: str, rank: int) -> None:
        if verb == "created":
            self.subscriptions[entry.subscription] = Subscription(
                entry.account,
                intern(entry.developer),
                intern(entry.app),
                intern(entry.environment),
                entry.endpoint,
                entry.grant,
            )
            self.ended_subscriptions.pop(entry.subscription, None)
        else:
            ended_ms = self.ended_subscriptions.get(entry.subscription, entry.at)
            self.ended_subscriptions[entry.subscription] = min(ended_ms, entry.at)

    def has_ended(self, subscription: str, at_ms: int) -> bool:
        """Whether ``subscription`` was deleted at ``at_ms``, by itself or with its grant."""
        ended_ms = self.ended_subscriptions.get(subscription)
        return ended_ms is not None and ended_ms <= at_ms

    def _add_key(self, entry: Any, verb: str, rank: int) -> None:
        self.keys.add(entry)

    def _add_hold(self, entry: Any, verb: str, rank: int) -> None:
        self.holds.add(entry)

    def _add_replay(self, entry: Any, verb: str, rank: int) -> None:
        self.replays.setdefault(entry.replay, Replay(entry.seq, entry.endpoint))


def _event(entry: Any, verb: str, rank: int, value: Any) -> Event:
    return Event(entry.at, rank, entry.seq, verb, entry.via, entry.recorded_at, value)


def _destination_or_none(url: str) -> Destination | None:
    try:
        return parse_url(url)
    except FormatError:
        return None


_METHODS = {
    History._add_account: ("account", "registered suspended reactivated deleted"),
    History._add_developer: ("developer", "registered suspended reinstated"),
    History._add_app: ("app", "registered transferred suspended reinstated"),
    History._add_endpoint: ("endpoint", "registered transferred verified failed retired"),
    History._add_processor: ("processor", "declared"),
    History._add_issue: ("grant", "issued"),
    History._add_grant: ("grant", "amended suspended resumed revoked invalidated"),
    History._add_subscription: ("subscription", "created deleted"),
    History._add_replay: ("replay", "requested"),
}

_PLANS = {
    f"{family}.{verb}": (method, verb, rank_of(f"{family}.{verb}"))
    for method, (family, verbs) in _METHODS.items()
    for verb in verbs.split()
}
_PLANS |= dict.fromkeys(
    ("developer.key_set", "egress.key_set", "canary.planted"), (History._add_key, "set", PERMISSIVE)
)
_PLANS |= dict.fromkeys(
    ("hold.placed", "hold.lifted", "subject.erased"), (History._add_hold, "set", PERMISSIVE)
)


STATE_KINDS = frozenset(_PLANS)
"""The kinds of which :meth:`History.add` makes anything; entries of all others may be left out of a replay."""


def bears_state(kind: str) -> bool:
    """Whether ``kind`` is one of :data:`STATE_KINDS`."""
    return kind in STATE_KINDS
