"""Casts a world from a seed: who shares an address with whom, who granted what to whom, and when names move.

Three kinds of company share the few addresses: pairs whose paths match exactly (the precondition of 2018),
pairs that miss it by a slash, a letter's case, a query, a port or the IP version, and everybody else. Two
rules keep the ground truth sharp: no account grants two developers that ever share an address, so that a
misdelivered event is always an exposure; and no developer has two names on one address, so that its one TLS
key tells its endpoints apart there.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from typing import Any

from ledger.core.scopes import ALL, SCOPES
from ledger.reenactment.scale import Scale
from ledger.reenactment.world import (
    CLOSED_AT_MS,
    DAY_MS,
    OPENED_AT_MS,
    Amendment,
    App,
    Developer,
    DnsChange,
    Grant,
    Person,
    Webhook,
    World,
)

IPV6_LOOPBACK = "::1"
MOVED_TOGETHER_AT_MS = OPENED_AT_MS + 120 * DAY_MS
"""When one developer's name moves to the address of another with the same path: a precondition that came later."""

MOVED_APART_AT_MS = OPENED_AT_MS + 420 * DAY_MS
"""When one half of another pair moves away: a precondition that ended before the fault was found."""

_FIRST = (
    "Amber",
    "Birch",
    "Cedar",
    "Delta",
    "Ember",
    "Fjord",
    "Granite",
    "Harbour",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lumen",
)
_SECOND = ("Desk", "Line", "Relay", "Care", "Signal", "Bridge", "Works", "Voice", "Metric", "Post")
_GIVEN = (
    "Ines",
    "Tomas",
    "Mara",
    "Jonas",
    "Aiko",
    "Leila",
    "Pavel",
    "Noor",
    "Emil",
    "Rosa",
    "Dario",
    "Yusuf",
    "Hanna",
    "Odile",
    "Bram",
    "Sana",
)
_FAMILY = (
    "Okafor",
    "Lindqvist",
    "Moreau",
    "Tanaka",
    "Haddad",
    "Novak",
    "Silva",
    "Berg",
    "Costa",
    "Iqbal",
    "Jansen",
    "Osei",
    "Ruiz",
    "Weiss",
)
_TRADES = (
    "Airways",
    "Telecom",
    "Bank",
    "Rail",
    "Energy",
    "Foods",
    "Hotels",
    "Insurance",
    "Parcels",
    "Outdoor",
)
_PATHS = (
    "/webhooks/twitter",
    "/webhook/twitter",
    "/twitter/webhook",
    "/api/twitter/events",
    "/hooks/account",
)


_NEAR_MISSES: dict[tuple[str, str], dict[str, Any]] = {
    ("slash", "/events/a"): {"path": "/events/a/"},
    ("case", "/events/b"): {"path": "/events/B"},
    ("query", "/events/c"): {"path": "/events/c?v=2"},
    ("port", "/events/d"): {"port": 8443},
    ("ipv6", "/events/e"): {"address": IPV6_LOOPBACK},
}


@dataclass(frozen=True, slots=True)
class _Seat:
    """One developer's place on an address, before it has a name."""

    address: str
    path: str
    port: int = 443
    group: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    """A world, the groups of endpoints that bursts go through, and each of those endpoints' busy account."""

    world: World
    groups: dict[str, tuple[str, ...]]
    busy: dict[str, str]


def cast(seed: int, scale: Scale, has_ipv6: bool = True) -> Cast:
    """The world of ``seed`` at ``scale``; equal arguments give equal worlds on every machine.

    Without ``has_ipv6`` the half of a pair that would be on ``::1`` is on another IPv4 address.
    """
    rng = random.Random(f"cast/{seed}/{scale.name}")
    seats = _seats(scale, has_ipv6)
    developers = tuple(
        Developer(f"dev-{index + 1:02d}", name) for index, name in enumerate(_company_names(rng, len(seats)))
    )
    apps: list[App] = []
    webhooks: list[Webhook] = []
    dns: list[DnsChange] = []
    groups: dict[str, tuple[str, ...]] = {}
    for index, (developer, seat) in enumerate(zip(developers, seats, strict=True)):
        app = _app(seed, developer, rng)
        host = f"hooks.{developer.name.lower().replace(' ', '-')}.example"
        hook = Webhook(
            f"{900 + index}{rng.randrange(10**14):014d}", app.app, "prod", host, seat.path, seat.port
        )
        apps.append(app)
        webhooks.append(hook)
        dns += _dns_of(host, seat, scale, second=bool(groups.get(seat.group)))
        if seat.group:
            groups[seat.group] = (*groups.get(seat.group, ()), hook.endpoint)
        if index % 3 == 2:
            staging = f"staging.{host.removeprefix('hooks.')}"
            second = Webhook(
                f"{700 + index}{rng.randrange(10**14):014d}", app.app, "dev", staging, f"/dev/{index}"
            )
            webhooks.append(second)
            taken = {change.address for change in dns if change.host == host}
            free = next(address for address in _addresses(scale) if address not in taken)
            dns.append(DnsChange(OPENED_AT_MS, staging, free))
    people = _people(rng, scale)
    bare = World(
        f"{seed}/{scale.name}",
        developers,
        tuple(apps),
        tuple(webhooks),
        tuple(_accounts(rng, scale)),
        (),
        tuple(dns),
        people,
    )
    grants, busy = _grants(rng, bare, groups)
    world = World(
        bare.seed, bare.developers, bare.apps, bare.webhooks, bare.accounts, grants, bare.dns, people
    )
    return Cast(world, groups, busy)


def _addresses(scale: Scale) -> list[str]:
    return [f"127.0.0.{index + 2}" for index in range(scale.addresses)]


def _seats(scale: Scale, has_ipv6: bool) -> list[_Seat]:
    addresses = _addresses(scale)
    seats: list[_Seat] = []
    for pair in range(scale.colliding):
        path = _PATHS[pair % len(_PATHS)] + ("" if pair < len(_PATHS) else f"/v{pair // len(_PATHS) + 1}")
        address = addresses[pair % len(addresses)]
        seats += [_Seat(address, path, group=f"same-{pair + 1}") for _ in range(2)]
    for index, (group, path) in enumerate(_NEAR_MISSES):
        first = _Seat(addresses[index % len(addresses)], path, group=group)
        other = replace(first, **_NEAR_MISSES[group, path])
        if other.address == IPV6_LOOPBACK and not has_ipv6:
            other = replace(other, address=addresses[(index + 1) % len(addresses)])
        seats += [first, other]
    seats += [_Seat(addresses[index % len(addresses)], f"/in/{index + 1}") for index in range(scale.plain)]
    return seats


def _dns_of(host: str, seat: _Seat, scale: Scale, second: bool) -> list[DnsChange]:
    parking = _addresses(scale)[-1]
    if second and seat.group == "same-1":
        return [
            DnsChange(OPENED_AT_MS, host, parking),
            DnsChange(MOVED_TOGETHER_AT_MS, host, seat.address),
        ]
    if second and seat.group == "same-2":
        return [DnsChange(OPENED_AT_MS, host, seat.address), DnsChange(MOVED_APART_AT_MS, host, parking)]
    return [DnsChange(OPENED_AT_MS, host, seat.address)]


def _company_names(rng: random.Random, count: int) -> list[str]:
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    return rng.sample(names, count)


def _app(seed: int, developer: Developer, rng: random.Random) -> App:
    secret = hashlib.sha256(f"consumer secret/{seed}/{developer.developer}".encode()).hexdigest()[:50]
    return App(str(rng.randrange(10_000_000, 19_999_999)), developer.developer, secret)


def _ids(rng: random.Random, count: int, low: int, high: int) -> list[str]:
    return [str(number) for number in rng.sample(range(low, high), count)]


def _people(rng: random.Random, scale: Scale) -> tuple[Person, ...]:
    return tuple(
        Person(
            person,
            f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}",
            f"user_{person[-7:]}",
            is_protected=rng.random() < 0.12,
        )
        for person in _ids(rng, scale.people, 4_000_000_000, 5_000_000_000)
    )


def _accounts(rng: random.Random, scale: Scale) -> list[Person]:
    return [
        Person(account, f"{rng.choice(_FAMILY)} {rng.choice(_TRADES)}", f"care_{account[-7:]}")
        for account in _ids(rng, scale.accounts, 2_000_000_000, 3_900_000_000)
    ]


def _grants(
    rng: random.Random, world: World, groups: dict[str, tuple[str, ...]]
) -> tuple[tuple[Grant, ...], dict[str, str]]:
    """One grant or two per account; the first accounts are the busy ones, one per endpoint of a group."""
    grouped = [endpoint for endpoints in groups.values() for endpoint in endpoints]
    strangers = _strangers(world)
    busy: dict[str, str] = {}
    grants: list[Grant] = []
    for index, account in enumerate(world.accounts):
        if index < len(grouped):
            hook = world.webhook(grouped[index])
            busy[hook.endpoint] = account.person
            grants.append(
                Grant(
                    f"g-{index + 1}",
                    account.person,
                    hook.app,
                    hook.environment,
                    (ALL,),
                    OPENED_AT_MS + DAY_MS,
                )
            )
            continue
        hooks = [rng.choice(world.webhooks)]
        if rng.random() < 0.15:
            others = strangers[hooks[0].endpoint]
            hooks += [rng.choice(others)] if others else []
        for number, hook in enumerate(hooks):
            name = f"g-{index + 1}" + ("" if number == 0 else f"-{number + 1}")
            grants.append(_grant(rng, name, account.person, hook))
    return tuple(grants), busy


def _strangers(world: World) -> dict[str, list[Webhook]]:
    """For each endpoint the webhooks whose developers never share an address with its own."""
    places: dict[str, set[str]] = {}
    for hook in world.webhooks:
        places.setdefault(world.developer_of(hook), set()).update(world.addresses_of(hook.host))
    return {
        hook.endpoint: [
            other
            for other in world.webhooks
            if places[world.developer_of(hook)].isdisjoint(places[world.developer_of(other)])
        ]
        for hook in world.webhooks
    }


def _grant(rng: random.Random, name: str, account: str, hook: Webhook) -> Grant:
    issued_at_ms = OPENED_AT_MS + DAY_MS + rng.randrange(CLOSED_AT_MS - OPENED_AT_MS - 60 * DAY_MS)
    scopes = (ALL,) if rng.random() < 0.5 else _choose_scopes(rng)
    expires_at_ms = issued_at_ms + rng.randrange(90, 366) * DAY_MS if rng.random() < 0.35 else None
    ends_at_ms = min(expires_at_ms or CLOSED_AT_MS, CLOSED_AT_MS)
    amendments: tuple[Amendment, ...] = ()
    revoked_at_ms = None
    if rng.random() < 0.15:
        revoked_at_ms = rng.randrange(issued_at_ms + DAY_MS, ends_at_ms)
        ends_at_ms = revoked_at_ms
    if rng.random() < 0.12 and scopes != (ALL,):
        at_ms = rng.randrange(issued_at_ms + DAY_MS // 2, ends_at_ms)
        amendments = (Amendment(at_ms, scopes=_choose_scopes(rng)),)
    return Grant(
        name,
        account,
        hook.app,
        hook.environment,
        scopes,
        issued_at_ms,
        expires_at_ms,
        amendments,
        revoked_at_ms,
    )


def _choose_scopes(rng: random.Random) -> tuple[str, ...]:
    return tuple(rng.sample(SCOPES, rng.randrange(3, len(SCOPES))))
