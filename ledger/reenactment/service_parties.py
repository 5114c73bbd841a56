"""The parties of a reenactment in a service's own ledger, made as the operator's commands make them.

Developers, apps and accounts by the same code as ``grantledger developer``, ``app`` and ``account create``; the access token
of each grant as ``account create --app`` gives it, with the scopes that the grant has; the platform's key as ``apikey create
platform``. The service draws consumer secrets itself, so the world that is played knows them only afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ledger.errors import LedgerError, UsageError
from ledger.gateway.tokens import Issuing, NewToken
from ledger.ports import Subject
from ledger.ports.registry import App as RegisteredApp
from ledger.reenactment.books import Tell
from ledger.reenactment.service_schedule import versions_of
from ledger.reenactment.world import Grant, World
from ledger.service_settings import ServiceSettings
from ledger.settings import Settings
from ledger.wiring import create_ledger
from ledger.wiring.service import Service, open_service

RETRY_WAITS_MS = (1_000, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 30_000)
"""The apps' schedule: quicker than usual, for an outage here is over as soon as everything in it was tried."""

_CALLERS = 8
"""Durable writes that wait for the disk at the same time; those that do share a transaction."""


@dataclass(frozen=True, slots=True)
class AppKeys:
    """What one app calls with: its own key, its owner's access token, its bearer token."""

    consumer_key: str
    consumer_secret: str
    owner: NewToken
    bearer: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Everything to call the service with; ``tokens`` by grant and version of its scopes."""

    world: World
    origin: str
    api_key: str
    apps: Mapping[str, AppKeys]
    tokens: Mapping[tuple[str, int], NewToken]


def make_parties(
    settings: Settings, service_settings: ServiceSettings, world: World, name: str, tell: Tell
) -> Parties:
    """Make a fresh ledger called ``localhost/reenactment-NAME`` at ``settings`` with everybody in ``world``.

    The world that comes back has the consumer secrets that the service drew. Raises UsageError where the database is no
    place for a fresh ledger.
    """
    origin = _create(settings, f"localhost/reenactment-{name}")
    with open_service(settings, service_settings, is_alone=False) as service:
        issuing = Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )
        made = _make_apps(service, world)
        apps = {
            app.app: AppKeys(
                app.consumer_key, secret, issuing.issue_owner(app), issuing.bearer_of(app, secret)
            )
            for app, secret in made
        }
        tokens = _make_accounts(service, issuing, world, {app.app: app for app, _ in made}, tell)
        api_key = issuing.issue_key("platform", name="reenactment").text
    secret_ones = tuple(replace(app, consumer_secret=apps[app.app].consumer_secret) for app in world.apps)
    return Parties(replace(world, apps=secret_ones), origin, api_key, apps, tokens)


def _create(settings: Settings, origin: str) -> str:
    try:
        created = create_ledger(settings, origin)
    except LedgerError as error:
        if settings.database_file is not None:
            raise
        raise UsageError(
            f"the service's part of a reenactment needs an empty database, and {settings.database} takes no new "
            f"ledger: {error}"
        ) from error
    if not created.is_new:
        raise UsageError(f"{settings.database} holds a ledger already: name an empty database")
    return created.origin


def _make_apps(service: Service, world: World) -> list[tuple[RegisteredApp, str]]:
    for developer in world.developers:
        service.parties.create_developer(developer.name, developer.developer)
    names = {developer.developer: developer.name for developer in world.developers}
    made = []
    for app in world.apps:
        environments = [webhook.environment for webhook in world.webhooks if webhook.app == app.app]
        new = service.parties.create_app(
            app.developer,
            f"{names[app.developer]} for accounts",
            app=app.app,
            environments=environments or ("prod",),
            retry_waits_ms=RETRY_WAITS_MS,
        )
        made.append((new.app, new.consumer_secret))
    return made


def _make_accounts(
    service: Service, issuing: Issuing, world: World, apps: Mapping[str, RegisteredApp], tell: Tell
) -> dict[tuple[str, int], NewToken]:
    """Register every account, and give each grant's app its tokens."""
    grants: dict[str, list[Grant]] = {}
    for grant in world.grants:
        grants.setdefault(grant.account, []).append(grant)

    def make(account: str) -> list[tuple[tuple[str, int], NewToken]]:
        subject: Subject = service.parties.create_account(account)
        return [
            ((grant.grant, version), issuing.issue_access(apps[grant.app], account, subject.tag, scopes))
            for grant in grants.get(account, ())
            for version, scopes in enumerate(versions_of(grant))
        ]

    tokens: dict[tuple[str, int], NewToken] = {}
    with ThreadPoolExecutor(_CALLERS) as pool:
        for done, made in enumerate(pool.map(make, [account.person for account in world.accounts])):
            tokens.update(made)
            tell(done + 1, len(world.accounts))
    return tokens
