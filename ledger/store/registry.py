"""Apps, webhooks, subscriptions, challenges and notices in SQL (delivery protocol, sections 3.1 to 3.4).

Implements :class:`ledger.ports.registry.Registry` on SQLite and PostgreSQL. Nothing is remembered: every read sees what is
durable by then, whichever process wrote it. The writes are in :mod:`ledger.store.registry_changes`; what of them belongs
to no entry takes the log's turn to write (:meth:`SqlRegistry.apply`), so that it cannot stand in an append's way half done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Engine, exc, text

from ledger.errors import ConflictError
from ledger.ports import Change
from ledger.ports.registry import App, Challenge, Developer, Notice, Subscription, Webhook
from ledger.store.engine import begin_write, explain
from ledger.store.registry_changes import RegistryChanges
from ledger.store.rows import make_changes, rows_of
from ledger.store.statements import (
    asked,
    columns_of,
    decode_numbers,
    decode_texts,
    each_of,
    fetch,
)

_DEVELOPER = columns_of(Developer)
_APP = columns_of(App)
_WEBHOOK = columns_of(Webhook)
_SUBSCRIPTION = (
    "subscription, webhook, app, environment, account, grant_id, scopes, created_at_ms, ended_at_ms"
)
_LIVE = f"SELECT {_SUBSCRIPTION} FROM service_subscriptions WHERE ended_at_ms IS NULL"

LOAD_DEVELOPER = text(f"SELECT {_DEVELOPER} FROM service_developers WHERE developer = :developer")
LOAD_APP = text(f"SELECT {_APP} FROM service_apps WHERE app = :app")
LOAD_APP_OF_KEY = text(f"SELECT {_APP} FROM service_apps WHERE consumer_key = :consumer_key")
LOAD_APPS = text(f"SELECT {_APP} FROM service_apps ORDER BY created_at_ms, app")
LOAD_APPS_OF = text(
    f"SELECT {_APP} FROM service_apps WHERE developer = :developer ORDER BY created_at_ms, app"
)
LOAD_WEBHOOK = text(f"SELECT {_WEBHOOK} FROM service_webhooks WHERE webhook = :webhook")
LOAD_WEBHOOKS = text(
    f"SELECT {_WEBHOOK} FROM service_webhooks WHERE app = :app AND deleted_at_ms IS NULL "
    "ORDER BY created_at_ms, webhook"
)
LOAD_WEBHOOKS_DUE = text(
    f"SELECT {_WEBHOOK} FROM service_webhooks WHERE next_check_at_ms <= :now_ms AND deleted_at_ms IS NULL "
    "ORDER BY next_check_at_ms, webhook LIMIT :count_max"
)
LOAD_SUBSCRIPTION = text(f"{_LIVE} AND webhook = :webhook AND account = :account")
LOAD_SUBSCRIPTIONS = text(
    f"{_LIVE} AND webhook = :webhook AND subscription > :after ORDER BY subscription LIMIT :count_max"
)
LOAD_SUBSCRIPTIONS_OF = text(f"{_LIVE} AND account = :account ORDER BY created_at_ms, subscription")
LOAD_SUBSCRIPTIONS_OF_GRANT = text(f"{_LIVE} AND grant_id = :grant ORDER BY created_at_ms, subscription")
LOAD_LAST_SUBSCRIPTION = text(
    f"SELECT {_SUBSCRIPTION} FROM service_subscriptions WHERE webhook = :webhook AND account = :account "
    "ORDER BY CASE WHEN ended_at_ms IS NULL THEN 0 ELSE 1 END, created_at_ms DESC, ended_at_ms DESC, subscription LIMIT 1"
)
COUNT_GRANTS_MADE = text(
    "SELECT COUNT(*) FROM service_subscriptions WHERE webhook = :webhook AND account = :account"
)
COUNT_SUBSCRIPTIONS = text(
    "SELECT COUNT(*), COALESCE(SUM(CASE WHEN covers_messages THEN 1 ELSE 0 END), 0) FROM service_subscriptions "
    "WHERE app = :app AND ended_at_ms IS NULL"
)
LOAD_CHALLENGES = text(
    "SELECT webhook, at_ms, cause, is_passed, status, latency_ms, reason FROM service_challenges "
    "WHERE webhook = :webhook ORDER BY at_ms DESC, cause DESC LIMIT :count_max"
)
LOAD_NOTICES = text(
    "SELECT account, at_ms, kind, text, grant_id, number FROM service_notices "
    "WHERE account = :account AND number > :after ORDER BY number LIMIT :count_max"
)


class SqlRegistry(RegistryChanges):
    """A :class:`~ledger.ports.registry.Registry` on the engine of :func:`ledger.store.engine.open_engine`."""

    def __init__(self, engine: Engine) -> None:
        """Use ``engine``, whose tables :func:`ledger.store.migrate.upgrade` has made."""
        self._engine = engine
        self._rows = rows_of(engine)
        self._fetch_apps = text(
            f"SELECT {_APP} FROM {asked(engine, 'apps')} CROSS JOIN service_apps WHERE app = asked.value"
        )
        self._fetch_subscriptions = text(
            f"SELECT {_SUBSCRIPTION} FROM {asked(engine, 'accounts')} CROSS JOIN service_subscriptions "
            "WHERE account = asked.value AND ended_at_ms IS NULL ORDER BY created_at_ms, subscription"
        )
        self._fetch_ended = text(
            f"SELECT {_SUBSCRIPTION} FROM {asked(engine, 'accounts')} CROSS JOIN service_subscriptions "
            "WHERE account = asked.value AND ended_at_ms IS NOT NULL AND ended_at_ms >= :since_ms AND EXISTS ("
            "SELECT 1 FROM service_webhooks AS target "
            "WHERE target.webhook = service_subscriptions.webhook AND target.deleted_at_ms IS NULL) "
            "ORDER BY ended_at_ms DESC, subscription"
        )

    def load_developer(self, developer: str) -> Developer | None:
        """The developer of this id."""
        rows = fetch(self._engine, "reading a developer", LOAD_DEVELOPER, developer=developer)
        return Developer(*rows[0]) if rows else None

    def load_app(self, app: str) -> App | None:
        """The app of this id."""
        return _first_app(fetch(self._engine, "reading an app", LOAD_APP, app=app))

    def load_app_of_key(self, consumer_key: str) -> App | None:
        """The app of this consumer key."""
        return _first_app(fetch(self._engine, "reading an app", LOAD_APP_OF_KEY, consumer_key=consumer_key))

    def load_apps(self, developer: str | None = None) -> Sequence[App]:
        """All apps, or those of ``developer``, by age."""
        if developer is None:
            return [_app(row) for row in fetch(self._engine, "reading apps", LOAD_APPS)]
        return [_app(row) for row in fetch(self._engine, "reading apps", LOAD_APPS_OF, developer=developer)]

    def fetch_apps(self, apps: Collection[str]) -> dict[str, App]:
        """Those of ``apps`` that are there, by id, in one look."""
        rows = fetch(self._engine, "reading apps", self._fetch_apps, apps=each_of(set(apps)))
        return {row.app: _app(row) for row in rows}

    def load_webhook(self, webhook: str) -> Webhook | None:
        """The webhook of this id, deleted ones included."""
        rows = fetch(self._engine, "reading a webhook", LOAD_WEBHOOK, webhook=webhook)
        return _webhook(rows[0]) if rows else None

    def load_webhooks(self, app: str, environment: str | None = None) -> Sequence[Webhook]:
        """The live webhooks of ``app``, or of one of its environments, by age."""
        rows = fetch(self._engine, "reading webhooks", LOAD_WEBHOOKS, app=app)
        # An app has a handful, so that an index of its environments would be worth nothing.
        return [_webhook(row) for row in rows if environment is None or row[2] == environment]

    def load_webhooks_due(self, now_ms: int, count_max: int) -> Sequence[Webhook]:
        """Live webhooks whose ``next_check_at_ms`` has come, the longest due first."""
        rows = fetch(self._engine, "reading webhooks", LOAD_WEBHOOKS_DUE, now_ms=now_ms, count_max=count_max)
        return [_webhook(row) for row in rows]

    def load_subscription(self, webhook: str, account: str) -> Subscription | None:
        """The live subscription of the account (a tag) at ``webhook``."""
        rows = fetch(
            self._engine, "reading a subscription", LOAD_SUBSCRIPTION, webhook=webhook, account=account
        )
        return _subscription(rows[0]) if rows else None

    def load_subscriptions(
        self, webhook: str, after: str = "", count_max: int = 1_000
    ) -> Sequence[Subscription]:
        """Live subscriptions at ``webhook`` in order of their id, those behind ``after``."""
        return self._subscriptions(LOAD_SUBSCRIPTIONS, webhook=webhook, after=after, count_max=count_max)

    def load_subscriptions_of(self, account: str, app: str | None = None) -> Sequence[Subscription]:
        """Live subscriptions of the account (a tag), by age."""
        found = self._subscriptions(LOAD_SUBSCRIPTIONS_OF, account=account)
        return [one for one in found if app is None or one.app == app]

    def fetch_subscriptions(self, accounts: Collection[str]) -> dict[str, list[Subscription]]:
        """Live subscriptions of each of ``accounts`` (tags) that has one, by age, in one look."""
        return _by_account(self._subscriptions(self._fetch_subscriptions, accounts=each_of(set(accounts))))

    def fetch_ended_subscriptions(
        self, accounts: Collection[str], since_ms: int
    ) -> dict[str, list[Subscription]]:
        """Subscriptions of each of ``accounts`` (tags) that ended since then, at webhooks that are there, newest first."""
        return _by_account(
            self._subscriptions(self._fetch_ended, accounts=each_of(set(accounts)), since_ms=since_ms)
        )

    def load_subscriptions_of_grant(self, grant: str) -> Sequence[Subscription]:
        """Live subscriptions that rest on ``grant``."""
        return self._subscriptions(LOAD_SUBSCRIPTIONS_OF_GRANT, grant=grant)

    def load_last_subscription(self, webhook: str, account: str) -> Subscription | None:
        """The live subscription of the account (a tag) at ``webhook``, or else the one that was made last."""
        found = self._subscriptions(LOAD_LAST_SUBSCRIPTION, webhook=webhook, account=account)
        return found[0] if found else None

    def _subscriptions(self, statement: Any, **values: str | int) -> list[Subscription]:
        return [
            _subscription(row) for row in fetch(self._engine, "reading subscriptions", statement, **values)
        ]

    def count_grants_made(self, webhook: str, account: str) -> int:
        """How many subscriptions, ended ones included, the account ever had at ``webhook``."""
        rows = fetch(
            self._engine, "counting subscriptions", COUNT_GRANTS_MADE, webhook=webhook, account=account
        )
        return int(rows[0][0]) if rows else 0

    def count_subscriptions(self, app: str) -> tuple[int, int]:
        """Live subscriptions of ``app``: all, and those whose scopes cover direct messages."""
        rows = fetch(self._engine, "counting subscriptions", COUNT_SUBSCRIPTIONS, app=app)
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)

    def load_challenges(self, webhook: str, count_max: int = 100) -> Sequence[Challenge]:
        """The last challenges, the newest first."""
        rows = fetch(
            self._engine, "reading challenges", LOAD_CHALLENGES, webhook=webhook, count_max=count_max
        )
        return [_challenge(row) for row in rows]

    def load_notices(self, account: str, after: int = 0, count_max: int = 100) -> Sequence[Notice]:
        """Notices of the account (a tag) with a ``number`` above ``after``, the oldest first."""
        rows = fetch(
            self._engine, "reading notices", LOAD_NOTICES, account=account, after=after, count_max=count_max
        )
        return [Notice(*row) for row in rows]

    def apply(self, changes: Sequence[Change]) -> None:
        """Make ``changes`` that belong to no entry, in one transaction, durable when this returns.

        Raises ConflictError where a table refuses one, StoreError where the database fails; then nothing has changed,
        unless the connection was lost on the way.
        """
        if not changes:
            return
        with begin_write(self._engine, f"making {len(changes)} changes") as connection:
            # Whoever waits for rows while it holds others could wait for an append that waits for it.
            self._rows.lock_head(connection)
            try:
                make_changes(connection, changes)
            except exc.IntegrityError as error:
                raise ConflictError(f"a change beside the log is refused: {explain(error)}") from error


def _first_app(rows: Sequence[Any]) -> App | None:
    return _app(rows[0]) if rows else None


def _app(row: Any) -> App:
    return App(
        app=row.app,
        developer=row.developer,
        name=row.name,
        description=row.description,
        website=row.website,
        consumer_key=row.consumer_key,
        secret_sealed=row.secret_sealed,
        environments=decode_texts(row.environments),
        callbacks=decode_texts(row.callbacks),
        retry_waits_ms=decode_numbers(row.retry_waits_ms),
        can_write=bool(row.can_write),
        created_at_ms=row.created_at_ms,
        owner_account=row.owner_account,
    )


def _webhook(row: Any) -> Webhook:
    webhook, app, environment, url, is_valid, *rest = row
    return Webhook(webhook, app, environment, url, bool(is_valid), *rest)


def _subscription(row: Any) -> Subscription:
    subscription, webhook, app, environment, account, grant, scopes, created_at_ms, ended_at_ms = row
    return Subscription(
        subscription,
        webhook,
        app,
        environment,
        account,
        grant,
        decode_texts(scopes),
        created_at_ms,
        ended_at_ms,
    )


def _challenge(row: Any) -> Challenge:
    webhook, at_ms, trigger, is_passed, status, latency_ms, reason = row
    return Challenge(webhook, at_ms, trigger, bool(is_passed), status, latency_ms, reason)


def _by_account(subscriptions: Sequence[Subscription]) -> dict[str, list[Subscription]]:
    found: dict[str, list[Subscription]] = {}
    for one in subscriptions:
        found.setdefault(one.account, []).append(one)
    return found
