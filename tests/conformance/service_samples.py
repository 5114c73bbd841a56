"""What the suites of the service's tables share: values to keep, commits that fail, and plans of queries."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Connection, Engine, TextClause, text

from ledger.ports.outbox import AttemptNote, HeldEvent, Parcel, Replay
from ledger.ports.registry import App, Challenge, Developer, Notice, Subscription, Webhook

Kind = Literal["before", "after"]
KINDS: list[Kind] = ["before", "after"]
"""A write that did not happen; one that did and was reported as failed."""

NOW_MS = 1_700_000_000_000
DAY_MS = 24 * 3_600_000
WORDS = 'Ça va, 株式会社? 😀 it\'s "100%" :fine: \\ -- ; \n\t'
"""A text with whatever might be taken for something else on its way."""


def digits(name: str) -> str:
    """32 hex digits that ``name`` always has."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def tag(name: str) -> str:
    """The tag of the person called ``name``."""
    return f"a_{digits(name)}"


def event_tag(name: str) -> str:
    return f"e_{digits(name)}"


def developer(name: str = "dev-a", /, **changed: Any) -> Developer:
    return replace(Developer(name, f"The developers of {name}", NOW_MS), **changed)


def app(name: str = "100", /, **changed: Any) -> App:
    made = App(
        app=name,
        developer="dev-a",
        name=f"App {name}",
        description="Sends greetings",
        website="https://a.example/",
        consumer_key=f"key-{name}",
        secret_sealed=b"\x00sealed\xff",
        environments=("prod", "Dev"),
        callbacks=("https://a.example/callback", "oob"),
        retry_waits_ms=(3_000, 27_000),
        can_write=True,
        created_at_ms=NOW_MS,
    )
    return replace(made, **changed)


def webhook(name: str = "1", /, **changed: Any) -> Webhook:
    made = Webhook(
        webhook=name,
        app="100",
        environment="prod",
        url=f"https://a.example/{name}",
        is_valid=True,
        created_at_ms=NOW_MS,
        validated_at_ms=NOW_MS + 1,
        failing_since_ms=None,
        next_check_at_ms=NOW_MS + DAY_MS,
        reason=None,
    )
    return replace(made, **changed)


def subscription(name: str = "s-1", /, **changed: Any) -> Subscription:
    made = Subscription(
        subscription=name,
        webhook="1",
        app="100",
        environment="prod",
        account=tag("ann"),
        grant=f"g-{name}",
        scopes=("posts", "direct_messages"),
        created_at_ms=NOW_MS,
    )
    return replace(made, **changed)


def challenge(at_ms: int = NOW_MS, /, **changed: Any) -> Challenge:
    return replace(Challenge("1", at_ms, "schedule", False, 500, 120, "Non-200 response code"), **changed)


def notice(words: str = "App 100 may read your posts.", /, **changed: Any) -> Notice:
    return replace(Notice(tag("ann"), NOW_MS, "grant.issued", words, "g-1"), **changed)


def held(name: str = "1", account: str = "ann", /, **changed: Any) -> HeldEvent:
    made = HeldEvent(
        event=event_tag(name),
        account=tag(account),
        subjects=(tag("bob"), tag("cy")),
        event_type="tweet_create_events",
        is_private=True,
        received_at_ms=NOW_MS,
        body_sealed=b"\x01sealed\x00" + name.encode(),
        body_bytes=512,
        content=hashlib.sha256(name.encode()).digest(),
    )
    return replace(made, **changed)


def parcel(of: HeldEvent, target: str = "1", /, **changed: Any) -> Parcel:
    made = Parcel(
        delivery=f"d-{digits(of.event + target)}",
        event=of.event,
        account=of.account,
        subscription="s-1",
        webhook=target,
        app="100",
        developer="dev-a",
        environment="prod",
        attempt=1,
        due_at_ms=NOW_MS,
        created_at_ms=NOW_MS,
    )
    return replace(made, **changed)


def note(delivery: str = "d-1", attempt: int = 1, /, **changed: Any) -> AttemptNote:
    made = AttemptNote(
        delivery=delivery,
        attempt=attempt,
        webhook="1",
        app="100",
        event_type="tweet_create_events",
        at_ms=NOW_MS,
        outcome="delivered",
        status=200,
        duration_ms=35,
        reason=None,
        seq=17,
    )
    return replace(made, **changed)


def replay(job: str = "900", /, **changed: Any) -> Replay:
    return replace(Replay(job, "1", "100", NOW_MS - DAY_MS, NOW_MS, NOW_MS), **changed)


@contextmanager
def failing_commit(engine: Engine, kind: Kind) -> Iterator[None]:
    """The next commit on ``engine`` is reported as failed: before it happens, or after it did."""
    dialect: Any = engine.dialect
    commit = dialect.do_commit
    hits = []

    def fail(connection: Any) -> None:
        dialect.do_commit = commit
        hits.append(kind)
        if kind == "after":
            commit(connection)
        raise dialect.loaded_dbapi.OperationalError("failed on purpose")

    dialect.do_commit = fail
    try:
        yield
    finally:
        dialect.do_commit = commit
    assert hits == [kind], "nothing was committed"


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """What ``tasks`` return, or raise, each in a thread of its own and all begun together."""
    outcomes: list[Any] = [None] * len(tasks)
    start = threading.Barrier(len(tasks))

    def run(place: int) -> None:
        start.wait()
        try:
            outcomes[place] = tasks[place]()
        except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def scanned(engine: Engine, statement: TextClause, **values: Any) -> list[str]:
    """The steps of the plan of ``statement`` that read a table of the service without an index that finds the rows.

    On PostgreSQL with all else priced out of the way: it would rather read or sort the few rows of a test.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            _price_out(connection)
            plan = connection.execute(text(f"EXPLAIN (FORMAT JSON) {statement.text}"), values).scalar_one()
            nodes = _nodes_of((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
            return [
                f"{node['Node Type']} on {node['Relation Name']}"
                for node in nodes
                if node.get("Relation Name", "").startswith("service_")
                and node["Node Type"] != "ModifyTable"
                and "Index Cond" not in node
            ]
        rows = connection.execute(text(f"EXPLAIN QUERY PLAN {statement.text}"), values).fetchall()
    scans = [row[3] for row in rows if row[3].startswith("SCAN ")]
    return [scan for scan in scans if not scan.startswith(PLANNED)]


PLANNED = tuple(
    f"SCAN {name}"
    for name in ("queues", "heads", "oldest", "found", "taken", "asked", "(subquery", "json_each")
)
"""What statements make for themselves and read whole."""


def _nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes_of(part)


def _price_out(connection: Connection) -> None:
    for way in ("seqscan", "bitmapscan", "sort"):
        connection.execute(text(f"SET LOCAL enable_{way} = off"))


def is_sorted_by_index(engine: Engine, statement: TextClause, **values: Any) -> bool:
    """Whether the rows can come out of an index in order, so that a page of many costs a page."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            _price_out(connection)
            lines = [row[0] for row in connection.execute(text(f"EXPLAIN {statement.text}"), values)]
            return not any("Sort" in line.partition("(")[0] for line in lines)
        rows = connection.execute(text(f"EXPLAIN QUERY PLAN {statement.text}"), values)
        return not any(row[3].startswith("USE TEMP B-TREE") for row in rows)
