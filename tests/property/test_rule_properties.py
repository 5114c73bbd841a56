"""The rule against itself, over random histories in which everything overlaps and most instants are ties.

``intervals`` is an independent execution of the same folds, ``naive`` a third one written word for word from section
2.1 without any of them. Times are few on purpose, so that equal instants are the normal case.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.core.grants import Backed, Question, check
from ledger.core.history import History
from ledger.core.intervals import (
    app_intervals,
    app_suspensions,
    destination_intervals,
    developer_suspensions,
    grant_intervals,
    intended_intervals,
    processor_intervals,
)
from ledger.core.parties import (
    destination_of,
    developer_of_app,
    intended_owner,
    is_processor,
    owner_of_endpoint,
)
from ledger.core.scopes import EVENT_TYPE_BITS, scope_of
from ledger.core.timelines import fold_events, fold_grant
from ledger.errors import RejectedError
from tests.support.builders import DM, LIKE, POST, Log, tag

TIMES = st.integers(min_value=0, max_value=12)
ACCOUNTS = ("ann", "bob")
DEVELOPERS = ("dev-a", "dev-b", "dev-c")
APPS = ("app-a", "app-b")
ENVIRONMENTS = ("prod", "dev")
GRANTS = ("g-1", "g-2", "g-3")
ENDPOINTS = ("wh-a", "wh-b")
SCOPES = st.lists(
    st.sampled_from(("posts", "direct_messages", "likes", "all")), min_size=1, max_size=3, unique=True
).map(sorted)
EXPIRY = st.none() | st.integers(min_value=0, max_value=14)

Step = tuple[str, dict[str, Any]]


def _issues() -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(
        {
            "grant": st.sampled_from(GRANTS),
            "account": st.sampled_from(ACCOUNTS).map(tag),
            "developer": st.sampled_from(DEVELOPERS),
            "app": st.sampled_from(APPS),
            "environment": st.sampled_from(ENVIRONMENTS),
            "scopes": SCOPES,
            "expires_at": EXPIRY,
        }
    ).map(lambda members: ("grant.issued", members))


def _amendments() -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(
        {
            "grant": st.sampled_from(GRANTS),
            "scopes": st.none() | SCOPES,
            "expires_at": EXPIRY,
            "developer": st.none() | st.sampled_from(DEVELOPERS),
        }
    ).map(lambda members: ("grant.amended", members))


def _named(member: str, names: tuple[str, ...], *kinds: str) -> st.SearchStrategy[Step]:
    return st.tuples(st.sampled_from(kinds), st.sampled_from(names).map(lambda name: {member: name}))


RESTRICTIONS = st.one_of(
    _named("grant", GRANTS, "grant.revoked", "grant.suspended", "grant.invalidated"),
    _named("account", tuple(map(tag, ACCOUNTS)), "account.suspended", "account.deleted"),
    _named("developer", DEVELOPERS, "developer.suspended"),
    _named("app", APPS, "app.suspended"),
)
PERMISSIONS = st.one_of(
    _amendments(),
    _named("grant", GRANTS, "grant.resumed"),
    _named("account", tuple(map(tag, ACCOUNTS)), "account.reactivated"),
    _named("developer", DEVELOPERS, "developer.reinstated"),
    _named("app", APPS, "app.reinstated"),
)
MOVES = st.one_of(
    st.fixed_dictionaries({"app": st.sampled_from(APPS), "developer": st.sampled_from(DEVELOPERS)}).map(
        lambda members: ("app.transferred", members)
    ),
    st.fixed_dictionaries({"endpoint": st.sampled_from(ENDPOINTS), "app": st.sampled_from(APPS)}).map(
        lambda members: ("endpoint.transferred", members)
    ),
    _named("endpoint", ENDPOINTS, "endpoint.retired"),
    st.fixed_dictionaries(
        {
            "developer": st.sampled_from(DEVELOPERS),
            "processor": st.sampled_from(DEVELOPERS),
            "until": EXPIRY,
        }
    ).map(lambda members: ("processor.declared", members)),
)
STEPS = st.lists(
    st.tuples(TIMES, st.one_of(_issues(), _issues(), PERMISSIONS, RESTRICTIONS, MOVES)), max_size=14
)

QUESTIONS = st.builds(
    Question,
    account=st.sampled_from(ACCOUNTS).map(tag),
    developer=st.sampled_from(DEVELOPERS),
    app=st.sampled_from(APPS),
    environment=st.just("prod"),
    event_type=st.sampled_from((POST, DM, LIKE, "poll_events")),
    at_ms=st.integers(min_value=0, max_value=15),
)


def build(steps: list[tuple[int, Step]]) -> Log:
    """A log of ``steps`` from a file, without those that the ledger refuses."""
    log = Log()
    for app, developer in zip(APPS, DEVELOPERS, strict=False):
        log.app(app, developer, at=2)
    for endpoint, app in zip(ENDPOINTS, APPS, strict=True):
        log.endpoint(endpoint, app, "https://shared.example/hook", at=3)
    for at, (kind, members) in steps:
        try_add(log, at, kind, members)
    return log


def try_add(log: Log, at: int, kind: str, members: dict[str, Any]) -> None:
    """Append the entry unless the ledger refuses it."""
    with suppress(RejectedError):
        log.add(kind, at, **members)


def is_backed(history: History, question: Question, as_of_size: int | None = None) -> bool:
    return isinstance(check(history, question, as_of_size), Backed)


def naive(log: Log, question: Question) -> bool:
    """Section 2.1 read aloud: replay each grant of the account up to the instant, and look at what it is then."""
    order = {"registered": 0, "issued": 0}
    restrictive = {"suspended", "deleted", "retired", "revoked", "invalidated"}

    def rank(entry: Any) -> int:
        verb = entry.kind.split(".")[1]
        return order.get(verb, 2 if verb in restrictive else 1)

    entries = sorted(log.entries, key=lambda entry: (entry.at, rank(entry), -entry.seq))
    past = [entry for entry in entries if entry.at <= question.at_ms]
    if not _stands(past, question):
        return False
    scope = scope_of(question.event_type)
    grants = {
        entry.grant for entry in past if entry.kind == "grant.issued" and entry.account == question.account
    }
    return any(_grant_covers(grant, past, entries, question, scope) for grant in sorted(grants))


def _stands(past: list[Any], question: Question) -> bool:
    for family, name in (
        ("account", question.account),
        ("app", question.app),
        ("developer", question.developer),
    ):
        good = True
        for entry in past:
            if entry.kind.split(".")[0] != family or getattr(entry, family) != name:
                continue
            verb = entry.kind.split(".")[1]
            if verb == "deleted":
                return False
            if verb == "suspended":
                good = False
            elif verb in ("reactivated", "reinstated"):
                good = True
        if not good:
            return False
    return True


def _grant_covers(
    grant: str, past: list[Any], entries: list[Any], question: Question, scope: str | None
) -> bool:
    if any(entry.kind == "grant.invalidated" and entry.grant == grant for entry in entries):
        return False
    issued, suspended, developer, held, expiry = None, False, "", {"none"}, 10**9
    stated_at, stated_scopes, stated_expiry = -1, None, None
    for entry in past:
        if entry.kind == "account.deleted" and entry.account == question.account:
            return False
        if getattr(entry, "grant", None) != grant or not entry.kind.startswith("grant."):
            continue
        if entry.kind == "grant.revoked":
            return False
        if entry.kind in ("grant.suspended", "grant.resumed"):
            suspended = entry.kind == "grant.suspended"
            continue
        if entry.kind == "grant.amended" and issued is None:
            continue
        if entry.at != stated_at:
            if issued is not None and expiry <= entry.at:
                return False
            stated_at, stated_scopes, stated_expiry = entry.at, None, None
        issued = issued or entry
        if entry.kind == "grant.issued" or entry.previous_developer is not None:
            developer = entry.developer
        if entry.scopes is not None:
            full = set(entry.scopes) | (
                {"posts", "likes", "direct_messages"} if "all" in entry.scopes else set()
            )
            stated_scopes = full if stated_scopes is None else stated_scopes & full
            held = stated_scopes
        if entry.expires_at is not None:
            stated_expiry = (
                entry.expires_at if stated_expiry is None else min(stated_expiry, entry.expires_at)
            )
            expiry = max(stated_expiry, entry.at)
    return (
        issued is not None
        and not suspended
        and question.at_ms < expiry
        and (issued.app, issued.environment) == (question.app, question.environment)
        and developer == question.developer
        and scope in held
    )


@given(STEPS, st.lists(QUESTIONS, min_size=1, max_size=8))
def test_the_rule_answers_as_the_text_read_aloud(
    steps: list[tuple[int, Step]], questions: list[Question]
) -> None:
    log = build(steps)
    for question in questions:
        assert is_backed(log.history, question) == naive(log, question), question


@given(STEPS, st.lists(QUESTIONS, min_size=1, max_size=8))
def test_intervals_back_exactly_what_the_rule_backs(
    steps: list[tuple[int, Step]], questions: list[Question]
) -> None:
    log = build(steps)
    grants = list(grant_intervals(log.history))
    bad_apps, bad_developers = list(app_suspensions(log.history)), list(developer_suspensions(log.history))
    for asked in questions:
        names = (asked.account, asked.developer, asked.app, asked.environment)
        covered = any(
            interval[:4] == names
            and interval.scopes & EVENT_TYPE_BITS.get(asked.event_type, 0)
            and interval.from_ms <= asked.at_ms < interval.to_ms
            for interval in grants
        )
        good = not any(
            bad.name == name and bad.from_ms <= asked.at_ms < bad.to_ms
            for name, suspensions in ((asked.app, bad_apps), (asked.developer, bad_developers))
            for bad in suspensions
        )
        assert (covered and good) == is_backed(log.history, asked), asked


@given(STEPS, st.none() | st.integers(0, 30))
def test_a_grant_that_was_only_issued_folds_like_any_other(
    steps: list[tuple[int, Step]], as_of_size: int | None
) -> None:
    for record in build(steps).history.grants.values():
        assert fold_grant(record, as_of_size) == fold_events(record, as_of_size)


@given(STEPS)
def test_no_interval_of_a_grant_is_empty(steps: list[tuple[int, Step]]) -> None:
    assert all(interval.from_ms < interval.to_ms for interval in grant_intervals(build(steps).history))


@given(STEPS)
def test_intervals_name_the_owners_that_the_rule_names(steps: list[tuple[int, Step]]) -> None:
    log = build(steps)
    history = log.history
    destinations, intended = list(destination_intervals(history)), list(intended_intervals(history))
    apps = list(app_intervals(history))
    for at in range(16):
        for endpoint in ENDPOINTS:
            owners = [
                (one.endpoint, one.app, one.environment, one.developer)
                for one in destinations
                if one.endpoint == endpoint and one.from_ms <= at < one.to_ms
            ]
            owner = owner_of_endpoint(history, endpoint, at)
            assert owners == ([] if owner is None else [tuple(owner)])
            meant = [
                ((one.endpoint, one.app, one.environment, one.developer), one.destination)
                for one in intended
                if one.endpoint == endpoint and one.from_ms <= at < one.to_ms
            ]
            named = intended_owner(history, endpoint, at)
            destination = destination_of(history, endpoint, at)
            assert meant == (
                [] if named is None or destination is None else [(tuple(named), destination.key)]
            )
        for app in APPS:
            holders = [one.developer for one in apps if one.app == app and one.from_ms <= at < one.to_ms]
            assert holders == [developer_of_app(history, app, at)]


@given(STEPS)
def test_intervals_of_processors_agree_with_the_rule(steps: list[tuple[int, Step]]) -> None:
    history = build(steps).history
    live = list(processor_intervals(history))
    for at in range(16):
        for developer in DEVELOPERS:
            for processor in DEVELOPERS:
                found = any(
                    one[:2] == (developer, processor) and one.from_ms <= at < one.to_ms for one in live
                )
                assert found == is_processor(history, developer, processor, at)


@given(STEPS, TIMES, RESTRICTIONS, st.lists(QUESTIONS, min_size=1, max_size=8))
def test_a_further_restriction_never_backs_what_was_unbacked(
    steps: list[tuple[int, Step]], at: int, restriction: Step, questions: list[Question]
) -> None:
    log = build(steps)
    before = [is_backed(log.history, question) for question in questions]
    try_add(log, at, *restriction)
    after = [is_backed(log.history, question) for question in questions]
    assert all(was or not now for was, now in zip(before, after, strict=True))


@given(STEPS, st.lists(QUESTIONS, min_size=1, max_size=8))
def test_as_of_the_whole_log_is_the_same_as_no_limit(
    steps: list[tuple[int, Step]], questions: list[Question]
) -> None:
    log = build(steps)
    for question in questions:
        assert check(log.history, question, log.size) == check(log.history, question)


@given(STEPS, st.integers(min_value=0, max_value=20), st.lists(QUESTIONS, min_size=1, max_size=8))
def test_known_then_is_what_a_log_that_ended_there_would_say(
    steps: list[tuple[int, Step]], size: int, questions: list[Question]
) -> None:
    log = build(steps)
    shorter = History()
    for entry in log.entries[:size]:
        shorter.add(entry)
    for question in questions:
        assert check(log.history, question, size) == check(shorter, question)


@given(STEPS, st.lists(QUESTIONS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_answer_depends_on_the_order_of_a_file_only_through_ties(
    steps: list[tuple[int, Step]], questions: list[Question], random: Any
) -> None:
    """Entries of one instant and class keep their order, all others are shuffled."""
    log = build(steps)
    restrictive = ("suspended", "deleted", "retired", "revoked", "invalidated")
    classes: dict[tuple[int, int], list[Any]] = {}
    for entry in log.entries:
        verb = entry.kind.split(".")[1]
        place = 0 if verb in ("registered", "issued") else 2 if verb in restrictive else 1
        classes.setdefault((entry.at, place), []).append(entry)
    queues = list(classes.values())
    shuffled: list[Any] = []
    while queues:
        queue = random.choice(queues)
        shuffled.append(queue.pop(0))
        queues = [left for left in queues if left]
    history = History()
    for seq, entry in enumerate(shuffled):
        history.add(dataclasses.replace(entry, seq=seq))
    for question in questions:
        assert is_backed(history, question) == is_backed(log.history, question)


@given(STEPS, st.lists(st.tuples(st.sampled_from(ENDPOINTS), TIMES, st.sampled_from((POST, DM))), max_size=4))
def test_judging_twice_gives_the_same_judgement(
    steps: list[tuple[int, Step]], deliveries: list[tuple[str, int, str]]
) -> None:
    log = build(steps)
    told = [
        log.imported(f"d-{place}", at=at, endpoint=endpoint, event_type=event_type)
        for place, (endpoint, at, event_type) in enumerate(deliveries)
    ]
    assert [log.judge(entry) for entry in told] == [log.judge(entry) for entry in told]
