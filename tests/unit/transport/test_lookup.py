"""Names to addresses within a deadline, whatever a name server does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.transport.lookup import LookupLateError, TimedLookup, ask_system
from tests.unit.transport.tls_server import until


class Resolver:
    """Answers at once, but questions about stuck hosts only when they are freed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: set[int] = set()
        self.freed = threading.Event()

    def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        self.threads.add(threading.get_ident())
        if host.startswith("stuck"):
            self.freed.wait(60.0)
        if host == "unknown":
            raise OSError("not known")
        return (f"address of {host}",)


def is_alive(threads: set[int]) -> bool:
    return not threads.isdisjoint({thread.ident for thread in threading.enumerate()})


def is_answered(lookup: TimedLookup, host: str) -> bool:
    try:
        return bool(lookup(host, 60.0))
    except LookupLateError:
        return False


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


def test_the_system_resolves_names_of_the_hosts_file() -> None:
    assert set(ask_system("localhost")) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["a..example", "x" * 300])
def test_what_no_name_server_could_know_is_an_error_of_the_operating_system(host: str) -> None:
    with pytest.raises(OSError, match=r".+"):
        ask_system(host)


def test_the_answer_is_the_resolvers(resolver: Resolver) -> None:
    assert TimedLookup(resolver)("a", 60.0) == ("address of a",)


def test_an_error_of_the_resolver_is_passed_on(resolver: Resolver) -> None:
    lookup = TimedLookup(resolver)
    with pytest.raises(OSError, match="not known"):
        lookup("unknown", 5.0)
    assert lookup("a", 60.0) == ("address of a",)


def test_every_call_asks_and_idle_threads_are_used_again(resolver: Resolver) -> None:
    lookup = TimedLookup(resolver)
    for _ in range(5):
        lookup("a", 5.0)
        time.sleep(0.01)
    assert (resolver.asked, len(resolver.threads)) == (["a"] * 5, 1)


def test_a_stuck_question_ends_at_the_deadline_and_holds_nobody_else_up(resolver: Resolver) -> None:
    lookup = TimedLookup(resolver)
    began_s = time.monotonic()
    with pytest.raises(LookupLateError):
        lookup("stuck", 0.05)
    assert time.monotonic() - began_s < 2.0
    assert lookup("a", 60.0) == ("address of a",)
    resolver.freed.set()


def test_a_host_with_overdue_questions_gets_no_further_ones_until_they_are_answered(
    resolver: Resolver,
) -> None:
    lookup = TimedLookup(resolver, overdue_per_host_max=2)
    while len(resolver.asked) < 2:
        with pytest.raises(LookupLateError):
            lookup("stuck", 0.05)
    for _ in range(3):
        with pytest.raises(LookupLateError):
            lookup("stuck", 0.05)
    assert resolver.asked == ["stuck"] * 2
    resolver.freed.set()
    assert until(lambda: is_answered(lookup, "stuck"))
    assert resolver.asked == ["stuck"] * 3


def test_there_are_never_more_threads_than_the_limit(resolver: Resolver) -> None:
    lookup = TimedLookup(resolver, threads_max=2)
    with ThreadPoolExecutor(2) as askers:
        stuck = [askers.submit(lookup, host, 60.0) for host in ("stuck-1", "stuck-2")]
        assert until(lambda: len(resolver.asked) == 2)
        for host in ("stuck-3", "a"):
            with pytest.raises(LookupLateError):
                lookup(host, 0.05)
        resolver.freed.set()
        assert [one.result() for one in stuck] == [("address of stuck-1",), ("address of stuck-2",)]
    assert lookup("b", 60.0) == ("address of b",)
    # Whoever was given up before a thread was free is not asked about any more.
    assert sorted(resolver.asked) == ["b", "stuck-1", "stuck-2"]


def test_threads_that_are_idle_end(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.transport.lookup._IDLE_S", 0.05)
    lookup = TimedLookup(resolver)
    lookup("a", 5.0)
    assert until(lambda: not is_alive(resolver.threads))
    assert lookup("b", 60.0) == ("address of b",)
