"""What the service knows beside the log: apps, webhooks, subscriptions (delivery protocol, sections 3.1 to 3.4).

Reads see what is durable, in every process. Writes are :class:`~ledger.ports.store.Change` values: they become durable
with the entry that they belong to (``Draft.changes``), or not at all, and none of them can fail for what others did
meanwhile: an insert that comes second and an update of what is gone change nothing. What may not happen twice is seen to
by the entry, whose ``uid`` or id is taken. A value that no table can keep (a NUL or half a character in a text, an id or
a number that is too long) raises RejectedError where the change is made, before anybody else's entry goes with it.

Accounts are tags here, as in the log; secrets are sealed (:class:`~ledger.ports.sealing.Sealing`) or hashed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.ports.store import Change


@dataclass(frozen=True, slots=True)
class Developer:
    """A developer, as the consent page names it."""

    developer: str
    name: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class App:
    """A developer's app. ``developer`` is the owner by now; ``environments`` has at least one.

    The first environment is the one that enterprise and v2 calls mean. ``retry_waits_ms`` is empty for the default
    schedule. ``can_write`` is false for an app that may only read (error 261). ``owner_account`` is the tag of the account
    that the app belongs to, whose access token is the owner's, too; None where the owner is no account.
    """

    app: str
    developer: str
    name: str
    description: str
    website: str
    consumer_key: str
    secret_sealed: bytes
    environments: tuple[str, ...]
    callbacks: tuple[str, ...]
    retry_waits_ms: tuple[int, ...]
    can_write: bool
    created_at_ms: int
    owner_account: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook, whose id (1 to 19 digits) is the endpoint's id in the log.

    ``failing_since_ms`` is when its challenges began to fail, None while they pass; ``is_valid`` falls at once or 28 h
    later (section 3.4). ``next_check_at_ms`` is when the schedule asks again. ``reason`` is the last failure's text.
    """

    webhook: str
    app: str
    environment: str
    url: str
    is_valid: bool
    created_at_ms: int
    validated_at_ms: int | None
    failing_since_ms: int | None
    next_check_at_ms: int
    reason: str | None
    deleted_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """One account's data going to one webhook, under the grant that making it was. ``account`` is a tag."""

    subscription: str
    webhook: str
    app: str
    environment: str
    account: str
    grant: str
    scopes: tuple[str, ...]
    created_at_ms: int
    ended_at_ms: int | None = None


ChallengeTrigger = Literal["registration", "request", "schedule", "replay"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge and what came of it; ``status`` and ``latency_ms`` as far as there was an answer."""

    webhook: str
    at_ms: int
    trigger: ChallengeTrigger
    is_passed: bool
    status: int | None
    latency_ms: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that an account is told: a change of its grants, with the entry that made it. ``account`` is a tag.

    ``text`` is plain language, without ids of people.
    """

    account: str
    at_ms: int
    kind: str
    text: str
    grant: str | None = None
    number: int = 0


class Registry(Protocol):
    """Apps, webhooks, subscriptions, challenges and notices; safe for use from any thread."""

    def load_developer(self, developer: str) -> Developer | None:
        """The developer of this id."""
        ...

    def load_app(self, app: str) -> App | None:
        """The app of this id."""
        ...

    def load_app_of_key(self, consumer_key: str) -> App | None:
        """The app of this consumer key."""
        ...

    def load_apps(self, developer: str | None = None) -> Sequence[App]:
        """All apps, or those of ``developer``, by age."""
        ...

    def fetch_apps(self, apps: Collection[str]) -> Mapping[str, App]:
        """Those of ``apps`` that are there, by id, in one look."""
        ...

    def load_webhook(self, webhook: str) -> Webhook | None:
        """The webhook of this id, deleted ones included."""
        ...

    def load_webhooks(self, app: str, environment: str | None = None) -> Sequence[Webhook]:
        """The live webhooks of ``app``, or of one of its environments, by age."""
        ...

    def load_webhooks_due(self, now_ms: int, count_max: int) -> Sequence[Webhook]:
        """Live webhooks whose ``next_check_at_ms`` has come, the longest due first."""
        ...

    def load_subscription(self, webhook: str, account: str) -> Subscription | None:
        """The live subscription of the account (a tag) at ``webhook``."""
        ...

    def load_subscriptions(
        self, webhook: str, after: str = "", count_max: int = 1_000
    ) -> Sequence[Subscription]:
        """Live subscriptions at ``webhook`` in order of their id, those behind ``after``."""
        ...

    def load_subscriptions_of(self, account: str, app: str | None = None) -> Sequence[Subscription]:
        """Live subscriptions of the account (a tag), or those to ``app``, by age."""
        ...

    def fetch_subscriptions(self, accounts: Collection[str]) -> Mapping[str, Sequence[Subscription]]:
        """Live subscriptions of each of ``accounts`` (tags) that has one, by age, in one look."""
        ...

    def fetch_ended_subscriptions(
        self, accounts: Collection[str], since_ms: int
    ) -> Mapping[str, Sequence[Subscription]]:
        """Subscriptions of each of ``accounts`` (tags) that ended at ``since_ms`` or later, at webhooks that are there."""
        ...

    def load_subscriptions_of_grant(self, grant: str) -> Sequence[Subscription]:
        """Live subscriptions that rest on ``grant``."""
        ...

    def load_last_subscription(self, webhook: str, account: str) -> Subscription | None:
        """The live subscription of the account (a tag) at ``webhook``, or else the one that was made last."""
        ...

    def count_grants_made(self, webhook: str, account: str) -> int:
        """How many subscriptions, ended ones included, the account ever had at ``webhook``."""
        ...

    def count_subscriptions(self, app: str) -> tuple[int, int]:
        """Live subscriptions of ``app``: all, and those whose scopes cover direct messages."""
        ...

    def load_challenges(self, webhook: str, count_max: int = 100) -> Sequence[Challenge]:
        """The last challenges, the newest first."""
        ...

    def load_notices(self, account: str, after: int = 0, count_max: int = 100) -> Sequence[Notice]:
        """Notices of the account (a tag) with a ``number`` above ``after``, the oldest first."""
        ...

    def put_developer(self, developer: Developer) -> Change:
        """Add the developer, or change its name."""
        ...

    def put_app(self, app: App) -> Change:
        """Add the app, or change what may change (all but id, consumer key and creation).

        Changes nothing where another app has that consumer key, which is drawn at random.
        """
        ...

    def put_webhook(self, webhook: Webhook) -> Change:
        """Add the webhook, or change its validity, schedule, reason and end; a deleted one stays deleted."""
        ...

    def put_subscription(self, subscription: Subscription) -> Change:
        """Add a live subscription; changes nothing where the account has one at the webhook."""
        ...

    def narrow_subscriptions(self, grant: str, scopes: Sequence[str]) -> Change:
        """Give the live subscriptions that rest on ``grant`` other scopes."""
        ...

    def end_subscription(self, subscription: str, at_ms: int) -> Change:
        """End one; one that has ended keeps its end."""
        ...

    def end_subscriptions_of_webhook(self, webhook: str, at_ms: int) -> Change:
        """End all at one webhook; those that have ended keep their end."""
        ...

    def add_challenge(self, challenge: Challenge) -> Change:
        """Keep what came of a challenge, once for a webhook, a time and a trigger."""
        ...

    def add_notice(self, notice: Notice) -> Change:
        """Tell an account something, once; its ``number`` is given by the registry."""
        ...

    def apply(self, changes: Sequence[Change]) -> None:
        """Make ``changes`` that belong to no entry (a challenge that changed nothing), in one transaction.

        Durable when this returns; waits for the log's turn to write, as an append does.
        """
        ...
