"""Answers about developers, apps and endpoints, kept as long as they hold (verdict rules, sections 2.1 and 2.5).

Millions of deliveries ask the same few questions: who owns this endpoint, who receives there. This module knows no
rule. It keeps what a rule answered, under the rule and what it was asked about, and gives it again while two things are
true:

- No event about a developer, an app, an endpoint or a processor was added since. Such events are rare beside
  deliveries, so the first one throws away everything.
- The instant asked about lies in the same stretch of time. What is known of the parties changes at instants that their
  events name (an event's ``at``, a declaration's ``until``) and nowhere else; between two neighbouring ones every
  answer stays the same.

So it is for rules that depend on nothing but the parties and the instant: not on grants, not on accounts.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Hashable
from typing import Any

from ledger.core.folding import OPEN_END_MS

KEPT_MAX = 65_536
"""How many answers are kept, of all stretches together; then the memory starts anew."""

BEFORE_ALL_MS = -1
"""Before every instant of the ledger."""

SINGLY_MAX = 32
"""So many new instants are put in their places one by one; more are sorted in together."""


class Recall:
    """The kept answers of one history; :meth:`add` is told of its events about parties, in append order."""

    __slots__ = (
        "_answers",
        "_count",
        "_cuts_ms",
        "_from_ms",
        "_new_cuts_ms",
        "_stretches",
        "_to_ms",
        "last_seq",
    )

    def __init__(self) -> None:
        self.last_seq = -1
        self._cuts_ms: list[int] = []
        self._new_cuts_ms: list[int] = []
        self._forget()

    def _forget(self) -> None:
        self._stretches: dict[int, dict[Hashable, Any]] = {}
        self._answers: dict[Hashable, Any] = {}
        self._count = 0
        # No instant lies in this stretch: the next question looks for its own.
        self._from_ms = self._to_ms = BEFORE_ALL_MS

    def add(self, seq: int, at_ms: int, until_ms: int | None = None) -> None:
        """Entry ``seq`` changes something about a party at ``at_ms``, and again at ``until_ms`` where that is given."""
        self.last_seq = seq
        self._new_cuts_ms.append(at_ms)
        if until_ms is not None:
            self._new_cuts_ms.append(until_ms)
        self._forget()

    def ask(self, rule: Callable[..., Any], history: Any, asked: tuple[Hashable, ...], at_ms: int) -> Any:
        """``rule(history, *asked, at_ms)``, where ``history`` is the one whose answers these are, asked or remembered.

        ``rule`` is a function of a module, and whoever gets its answer leaves it as it is. What it raises is not kept.
        """
        if not self._from_ms <= at_ms < self._to_ms:
            self._turn_to(at_ms)
        key = (rule, asked)
        try:
            return self._answers[key]
        except KeyError:
            pass
        self._count += 1
        if self._count > KEPT_MAX:
            self._forget()
            self._turn_to(at_ms)
        answer = self._answers[key] = rule(history, *asked, at_ms)
        return answer

    def _turn_to(self, at_ms: int) -> None:
        """Have the answers of the stretch that ``at_ms`` lies in at hand."""
        cuts_ms = self._cuts_ms
        if self._new_cuts_ms:
            self._sort_in()
        place = bisect_right(cuts_ms, at_ms)
        self._from_ms = cuts_ms[place - 1] if place else BEFORE_ALL_MS
        self._to_ms = cuts_ms[place] if place < len(cuts_ms) else OPEN_END_MS
        self._answers = self._stretches.setdefault(place, {})

    def _sort_in(self) -> None:
        # A history read from a log comes at once; later events come one by one, each followed by questions.
        if len(self._new_cuts_ms) > SINGLY_MAX:
            self._cuts_ms += self._new_cuts_ms
            self._cuts_ms.sort()
        else:
            for cut_ms in self._new_cuts_ms:
                insort(self._cuts_ms, cut_ms)
        self._new_cuts_ms.clear()
