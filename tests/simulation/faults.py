"""Writes that fail, in every way that callers have to survive, and deaths of the process at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ledger.errors import StoreError

Fault = Literal["lost", "unreported", "blind", "dies before", "dies after"]
"""It did not happen; it happened and was reported as failed; the same, and the log cannot be looked at; or it dies there."""

FAULTS: tuple[Fault, ...] = ("lost", "unreported", "blind", "dies before", "dies after")


class Died(BaseException):
    """The process is gone: nobody may catch this but whoever starts the next one."""


class Faults:
    """Which writes fail. ``planned`` are ``[how many more pass, then what]``."""

    def __init__(self) -> None:
        self.on_commit: Callable[[], None] = lambda: None
        """Called when a batch is judged and not durable yet, and when it is durable and nobody knows."""
        self._planned: list[list[Any]] = []
        self._is_blind = False
        self.happened: list[str] = []

    def plan(self, passing: int, fault: Fault) -> None:
        """Let ``passing`` more writes pass; the one after that has ``fault``."""
        self._planned.append([passing, fault])

    def clear(self) -> None:
        """Let everything pass from now on."""
        self._planned.clear()
        self._is_blind = False

    def write(self, name: str, really: Callable[[], Any]) -> Any:
        """Do the write ``really``, or not, as planned."""
        if name == "append":
            really = self._watched(really)
        fault = self._next()
        if fault is None:
            return really()
        self.happened.append(f"{fault}: {name}")
        if fault == "dies before":
            raise Died(name)
        if fault == "lost":
            raise StoreError(f"{name} failed on purpose")
        really()
        if fault == "dies after":
            raise Died(name)
        self._is_blind = fault == "blind" and name == "append"
        raise StoreError(f"{name} is reported as failed on purpose")

    def _watched(self, really: Callable[[], Any]) -> Callable[[], Any]:
        def commit() -> None:
            self.on_commit()
            really()
            self.on_commit()

        return commit

    def look(self) -> None:
        """Fail the look at the log that follows a blind fault, once."""
        if self._is_blind:
            self._is_blind = False
            raise StoreError("the look at the log failed on purpose")

    def _next(self) -> Fault | None:
        found: Fault | None = None
        for plan in list(self._planned):
            if plan[0] == 0 and found is None:
                found = plan[1]
                self._planned.remove(plan)
            else:
                plan[0] -= 1
        self._planned = [plan for plan in self._planned if plan[0] >= 0]
        return found


class Faulty:
    """``inner``, whose methods ``writes`` may fail and whose method ``look``, where named, may be blind."""

    def __init__(self, inner: Any, faults: Faults, writes: frozenset[str], look: str = "") -> None:
        self._inner = inner
        self._faults = faults
        self._writes = writes
        self._look = look

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in self._writes:
            return lambda *given, **named: self._faults.write(name, lambda: found(*given, **named))
        if name == self._look:
            self._faults.look()
        return found
