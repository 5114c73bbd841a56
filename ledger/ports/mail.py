"""Handing e-mail over to a mail server (incidents and exports, section 5.2).

SMTP cannot be exactly once: between the server's taking a message and our knowing it anything may die. So an outcome says
which side of that gap a failure was on, and callers never repeat what is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Mail:
    """A message in plain text. ``message`` is an id, the same whenever this message is handed over."""

    message: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handed:
    """What came of handing a message over.

    ``accepted``: the server has it. ``refused``: the server said that it has not. ``unsent``: nothing of it was taken,
    whatever happened. ``unknown``: the text left, and no answer came. ``reason`` is a word for logs, and names nobody;
    ``is_final`` that another try would be refused as well.
    """

    outcome: Literal["accepted", "refused", "unsent", "unknown"]
    reason: str | None = None
    is_final: bool = False


class MailConnection(Protocol):
    """A connection to a mail server, opened when it is first needed; for one thread at a time."""

    def send(self, mail: Mail, may_send: Callable[[], bool]) -> Handed:
        """Hand ``mail`` over. ``may_send`` is asked immediately before the text leaves; False makes it ``unsent``.

        Never raises for trouble with the network or the server: that is an outcome.
        """
        ...

    def close(self) -> None:
        """Say goodbye; a later :meth:`send` opens a new connection."""
        ...


class MailServer(Protocol):
    """Where e-mail is handed over; safe from any thread."""

    def connect(self) -> MailConnection:
        """A connection of its own for one thread."""
        ...
