"""Restrictions are announced before they are recorded, until it is known what became of them (ledger format, 1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from ledger.core.canonical import JsonValue
from ledger.core.entries import Entry
from ledger.engines.codec import MsgspecCodec
from ledger.errors import StoreError
from ledger.ports import Announced, Change, EntryStore, NewEntry
from ledger.sequencer.draft import Rejection, expect
from ledger.sequencer.sequencer import Sequencer
from tests.support.log_world import START_MS, SetClock, attempt, draft, open_store, opening, revocation

Fault = Literal["lost", "blind"]


@dataclass
class Listener:
    """Hears of announcements, of what is durable, and of looks at the clock, in their order."""

    heard: list[str] = field(default_factory=list)
    latest_start_ms: int = -1

    def announce(self, stated: Iterable[Mapping[str, JsonValue]]) -> Announced | None:
        kinds = [str(members["kind"]) for members in stated if members["kind"] == "grant.revoked"]
        if not kinds:
            return None
        self.heard.append("announced")
        return self

    def close(self) -> None:
        self.heard.append("closed")

    def tell(self, entries: Sequence[Entry]) -> None:
        self.heard.extend(f"told {entry.kind}" for entry in entries)


class ListenedClock(SetClock):
    """A clock that says when somebody looks."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def now_ms(self) -> int:
        self._listener.heard.append("clock")
        return super().now_ms()


class FaultyStore:
    """A store whose next append does not happen, or happens while nobody can see that."""

    def __init__(self, inner: EntryStore) -> None:
        self._inner = inner
        self.fault: Fault | None = None
        self._is_blind = False

    def append(self, expected_size: int, entries: Sequence[NewEntry], changes: Sequence[Change] = ()) -> None:
        fault, self.fault = self.fault, None
        if fault != "lost":
            self._inner.append(expected_size, entries, changes)
        if fault is not None:
            self._is_blind = fault == "blind"
            raise StoreError("failed on purpose")

    def size(self) -> int:
        was_blind, self._is_blind = self._is_blind, False
        if was_blind:
            raise StoreError("the look at the log failed on purpose")
        return self._inner.size()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    return FaultyStore(open_store(tmp_path))


@pytest.fixture
def sequencer(listener: Listener, store: Any) -> Iterator[Sequencer]:
    clock = ListenedClock(listener)
    with Sequencer(
        store, MsgspecCodec(), clock, on_durable=listener.tell, announce=listener.announce
    ) as opened:
        opened.append_many(opening())
        listener.heard.clear()
        yield opened


def test_a_restriction_is_announced_before_its_time_is_read_and_until_it_was_told(
    sequencer: Sequencer, listener: Listener
) -> None:
    expect(sequencer.append(revocation(0)))
    assert listener.heard == ["announced", "clock", "told grant.revoked", "closed"]


def test_it_takes_effect_after_the_last_byte_that_left(sequencer: Sequencer, listener: Listener) -> None:
    listener.latest_start_ms = START_MS + 900
    stated = draft("grant.revoked", "g-0", grant="g-0", account=revocation(0).members["account"]).members
    appended = expect(
        sequencer.append(type(revocation(0))({name: stated[name] for name in stated if name != "at"}))
    )
    assert f'"recorded_at":{START_MS + 901}'.encode() in appended.data


def test_what_restricts_nothing_is_not_announced(sequencer: Sequencer, listener: Listener) -> None:
    sequencer.request(attempt("d-1"))
    expect(sequencer.append(draft("account.registered", "a", account="a_" + "f" * 32, identity="0" * 64)))
    assert "announced" not in listener.heard


def test_a_restriction_that_is_rejected_was_announced_for_nothing(
    sequencer: Sequencer, listener: Listener
) -> None:
    assert isinstance(sequencer.append(draft("grant.revoked", "g-404", grant="g-404")), Rejection)
    assert listener.heard == ["announced", "clock", "closed"]


def test_a_restriction_that_is_repeated_is_no_news(sequencer: Sequencer, listener: Listener) -> None:
    expect(sequencer.append(revocation(0)))
    listener.heard.clear()
    assert not expect(sequencer.append(revocation(0))).created
    assert listener.heard == ["announced", "clock", "closed"]


@pytest.mark.parametrize(
    ("fault", "then"),
    [("lost", ["closed", "clock"]), ("blind", ["told grant.revoked", "closed", "clock"])],
)
def test_after_a_write_of_unclear_outcome_it_stands_until_the_log_was_read_again(
    sequencer: Sequencer, listener: Listener, store: FaultyStore, fault: Fault, then: list[str]
) -> None:
    store.fault = fault
    with pytest.raises(StoreError):
        sequencer.append(revocation(0))
    assert listener.heard == ["announced", "clock"]
    listener.heard.clear()
    sequencer.catch_up()
    assert listener.heard == then


def test_a_call_of_which_all_is_withdrawn_was_announced_for_nothing(
    sequencer: Sequencer, listener: Listener
) -> None:
    bad = draft("grant.revoked", "g-404", grant="g-404")
    outcomes = sequencer.append_many([revocation(0), bad], all_or_nothing=True)
    assert all(isinstance(outcome, Rejection) for outcome in outcomes)
    assert listener.heard[0] == "announced"
    assert listener.heard[-1] == "closed"
