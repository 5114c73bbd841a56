"""Who there is in a reenactment: developers, apps, webhooks, accounts, people, grants, and where names point to.

Values only, and look-ups on them. A world can be cast from a seed (`ledger.reenactment.casting`) or written
by hand for one boundary. Addresses are loopback addresses that stand for public ones; ports are those of the
endpoints' URLs, the receivers map them to whatever the operating system gave. Times are integer milliseconds
UTC of the virtual clock.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

DAY_MS = 86_400_000
OPENED_AT_MS = 1_493_596_800_000
"""1 May 2017, 00:00 UTC: where the virtual clock begins."""

CLOSED_AT_MS = 1_536_537_600_000
"""10 September 2018, 00:00 UTC: where it ends."""


def format_time(at_ms: int) -> str:
    """``at_ms`` as RFC 3339 with milliseconds and ``Z``, as input records write it."""
    moment = datetime.datetime.fromtimestamp(at_ms // 1000, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


@dataclass(frozen=True, slots=True)
class Developer:
    """A company that receives events; ``name`` is for people to read."""

    developer: str
    name: str


@dataclass(frozen=True, slots=True)
class App:
    """A developer's app; its consumer secret signs what is sent to its webhooks."""

    app: str
    developer: str
    consumer_secret: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """An app's endpoint in one environment. ``path`` begins with ``/`` and includes its query."""

    endpoint: str
    app: str
    environment: str
    host: str
    path: str
    port: int = 443

    @property
    def url(self) -> str:
        """The endpoint's URL, with a port only where it is not 443."""
        port = "" if self.port == 443 else f":{self.port}"
        return f"https://{self.host}{port}{self.path}"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on the platform, account or not; ids are the platform's decimal ids."""

    person: str
    name: str
    screen_name: str
    is_protected: bool = False


@dataclass(frozen=True, slots=True)
class Amendment:
    """A later version of a grant: the complete new scopes, a new expiry, or both."""

    at_ms: int
    scopes: tuple[str, ...] | None = None
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What an account allowed an app in one environment, and what became of it."""

    grant: str
    account: str
    app: str
    environment: str
    scopes: tuple[str, ...]
    issued_at_ms: int
    expires_at_ms: int | None = None
    amendments: tuple[Amendment, ...] = ()
    revoked_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DnsChange:
    """From ``at_ms`` on ``host`` resolves to ``address``."""

    at_ms: int
    host: str
    address: str


@dataclass(frozen=True, slots=True)
class World:
    """The cast of one reenactment; ``seed`` also names its TLS keys."""

    seed: str
    developers: tuple[Developer, ...]
    apps: tuple[App, ...]
    webhooks: tuple[Webhook, ...]
    accounts: tuple[Person, ...]
    grants: tuple[Grant, ...]
    dns: tuple[DnsChange, ...]
    people: tuple[Person, ...] = ()
    opened_at_ms: int = OPENED_AT_MS
    _apps: dict[str, App] = field(init=False, repr=False, compare=False)
    _webhooks: dict[str, Webhook] = field(init=False, repr=False, compare=False)
    _dns: dict[str, list[DnsChange]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the look-ups; every name has an address from the beginning."""
        object.__setattr__(self, "_apps", {app.app: app for app in self.apps})
        object.__setattr__(self, "_webhooks", {webhook.endpoint: webhook for webhook in self.webhooks})
        dns: dict[str, list[DnsChange]] = {}
        for change in sorted(self.dns, key=lambda change: change.at_ms):
            dns.setdefault(change.host, []).append(change)
        object.__setattr__(self, "_dns", dns)
        for webhook in self.webhooks:
            if webhook.host not in dns or dns[webhook.host][0].at_ms > self.opened_at_ms:
                raise AssertionError(f"{webhook.host} has no address when the world opens")

    def app(self, app: str) -> App:
        """The app of this id."""
        return self._apps[app]

    def webhook(self, endpoint: str) -> Webhook:
        """The webhook of this id."""
        return self._webhooks[endpoint]

    def webhook_of(self, app: str, environment: str) -> Webhook:
        """The one webhook of ``app`` in ``environment``."""
        return next(hook for hook in self.webhooks if (hook.app, hook.environment) == (app, environment))

    def developer_of(self, webhook: Webhook) -> str:
        """Whose webhook it is."""
        return self._apps[webhook.app].developer

    def resolve(self, host: str, at_ms: int) -> str:
        """The address that ``host`` has at ``at_ms``."""
        return next(change.address for change in reversed(self._dns[host]) if change.at_ms <= at_ms)

    def addresses_of(self, host: str) -> frozenset[str]:
        """Every address that ``host`` ever has."""
        return frozenset(change.address for change in self._dns[host])
