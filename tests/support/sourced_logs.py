"""Random logs in which developers, proxies and finders of canaries speak at any place, for property tests."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from ledger.core.egress_counts import HOUR_MS
from ledger.errors import RejectedError
from tests.support.builders import Log, tag
from tests.support.second_sources import DAY_MS, PROXY, add_count, add_receipt, plant, public_key, set_key

DEVELOPERS = ("dev-a", "dev-b")
HOSTS = ("shared.example", "c.example", "nobody.example")
WRONG: dict[str, dict[str, Any]] = {
    "right": {},
    "tags": {"account": tag("eve")},
    "signature": {"signature": "1" * 128},
    "leaf": {"promised_leaf": "2" * 64},
    "half": {"promised_leaf": None},
    "thief": {"signer": "thief"},
    "ahead": {"promised_seq": 40},
}
RECEIPT = st.fixed_dictionaries(
    {
        "developer": st.sampled_from(DEVELOPERS),
        "which": st.integers(0, 9),
        "how": st.sampled_from(("right", "right", "right", *WRONG)),
    }
)
NAMED = st.fixed_dictionaries(
    {
        "developer": st.sampled_from(DEVELOPERS),
        "delivery": st.integers(0, 4).map(lambda number: f"d-{number}"),
        "account": st.sampled_from((None, None, "ann", "bob")),
    }
)
COUNT = st.fixed_dictionaries(
    {
        "proxy": st.sampled_from((PROXY, PROXY, "egress-2")),
        "sni": st.sampled_from((*HOSTS, HOSTS[0], None, None)),
        "back": st.integers(0, 2),
        "connections": st.sampled_from((0, 1, 100)),
        "bytes_up": st.sampled_from((0, 300, 4_000, 90_000)),
        "signer": st.sampled_from((PROXY, PROXY, PROXY, "thief")),
        "names": st.integers(0, 2),
    }
)
JUMPS = st.sampled_from((70_000, HOUR_MS // 3, HOUR_MS + HOUR_MS // 2, 3 * HOUR_MS, DAY_MS, DAY_MS))
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("receipt"), RECEIPT),
        st.tuples(st.just("named"), NAMED),
        st.tuples(st.just("count"), COUNT),
        st.tuples(st.just("jump"), JUMPS),
        st.tuples(st.just("key"), st.sampled_from((*DEVELOPERS, "thief"))),
        st.tuples(st.just("proxy"), st.sampled_from((PROXY, PROXY, "egress-2"))),
        st.tuples(st.just("canary"), st.sampled_from((None, *DEVELOPERS))),
    ),
    max_size=16,
)


def act(log: Log, what: str, how: Any) -> None:
    """Let somebody speak, unless the ledger refuses it."""
    with suppress(RejectedError):
        _ACTS[what](log, how)


def _receipt(log: Log, how: Any) -> None:
    attempts = [entry for entry in log.entries if entry.kind == "delivery.attempted"]
    if attempts:
        attempted = attempts[-1 - how["which"] % len(attempts)]
        add_receipt(log, how["developer"], attempted, forced=True, **WRONG[how["how"]])


def _named(log: Log, how: Any) -> None:
    people: dict[str, Any] = {}
    if how["account"] is not None:
        people = {"account": tag(how["account"]), "subjects": []}
    add_receipt(log, how["developer"], delivery=how["delivery"], forced=True, **people)


def _count(log: Log, how: Any) -> None:
    stated = {name: how[name] for name in ("proxy", "connections", "bytes_up", "signer")}
    named = {"names": how["names"]} if how["sni"] is None else {"sni": how["sni"]}
    hour = max(0, log.recorded_at // HOUR_MS - how["back"])
    add_count(log, at=log.recorded_at, hour=hour, **stated, **named)


def _jump(log: Log, how: int) -> None:
    log.add("developer.registered", log.recorded_at + how, developer=f"dev-{log.size}")


def _key(log: Log, how: str) -> None:
    developer = how if how in DEVELOPERS else DEVELOPERS[0]
    set_key(log, developer, log.recorded_at, key=public_key(how))


def _proxy(log: Log, how: str) -> None:
    log.add("egress.key_set", log.recorded_at, proxy=how, key=public_key(PROXY))


def _canary(log: Log, how: str | None) -> None:
    opened = plant(log, f"c-{log.size}", "ann", "dev-a", log.recorded_at)
    log.add("canary.seen", log.recorded_at, forced=True, seen_in="report", seen_by=how, **opened)


_ACTS = {
    "receipt": _receipt,
    "named": _named,
    "count": _count,
    "jump": _jump,
    "key": _key,
    "proxy": _proxy,
    "canary": _canary,
}
