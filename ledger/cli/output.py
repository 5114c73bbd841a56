"""Everything that a command says, and the only place that prints.

Results go to standard output: for people as aligned lines, with ``--json`` as one JSON object on one line,
whose members keep their names and order. Remarks, progress and errors go to standard error. Text that came
from a ledger or a file is shown with its control characters escaped, so that no entry can drive a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import typer

from ledger.cli.exits import PIPE_CLOSED

Field = tuple[str, object]
"""A label and its value, for people; lines of a longer value stand below each other."""

REDRAW_SECONDS = 0.1


class Progress(Protocol):
    """Shows how far something is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` (0 where nobody knows); ``note`` stands beside the bar instead of these numbers."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """How a command speaks: ``as_json`` for programs, ``quiet`` without remarks and progress."""

    as_json: bool = False
    quiet: bool = False

    def result(self, document: Mapping[str, object], fields: Sequence[Field]) -> None:
        """What the command found: ``document`` for programs, ``fields`` for people."""
        if self.as_json:
            self.text(json.dumps(document, separators=(",", ":")))
        else:
            self._fields(fields)

    def text(self, text: str) -> None:
        """``text`` as it is, with a newline, on standard output."""
        self.raw(f"{text}\n".encode())

    def raw(self, data: bytes) -> None:
        """``data`` and nothing else on standard output."""
        with _reader_may_go():
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def remark(self, text: str) -> None:
        """A line for people that is no result."""
        if not self.quiet:
            _to_stderr(text)

    def warning(self, text: str) -> None:
        """A line about something that needs attention, even where remarks are not wanted."""
        _to_stderr(text)

    def error(self, text: str) -> None:
        """Why the command failed and what to do about it."""
        _to_stderr(f"error: {text}")

    @contextmanager
    def progress(self, doing: str) -> Iterator[Progress]:
        """A progress bar on standard error while the block runs, where a person is watching; else nothing."""
        if self.quiet or not sys.stderr.isatty():
            yield _say_nothing
            return
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bars:
            task = bars.add_task(escape_controls(doing), total=None, note="")
            drawn = 0.0

            def show(done: int, total: int, note: str = "") -> None:
                nonlocal drawn
                now = time.monotonic()
                if now - drawn >= REDRAW_SECONDS:
                    drawn = now
                    told = note or f"{done:,} of {total:,}"
                    bars.update(task, completed=done, total=total or None, note=told, refresh=True)

            yield show

    def _fields(self, fields: Sequence[Field]) -> None:
        from rich.console import Console
        from rich.text import Text

        width = max((len(label) for label, _ in fields), default=0)
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        # Captured, because rich has its own idea of how a process ends whose reader has gone.
        with console.capture() as said:
            for label, value in fields:
                first, *rest = str(value).split("\n")
                console.print(Text(f"{label:<{width}}  ", style="bold"), Text(escape_controls(first)), sep="")
                for line in rest:
                    console.print(Text(" " * (width + 2) + escape_controls(line)))
        self.raw(said.get().encode())


def escape_controls(text: str) -> str:
    """``text`` with every character that a terminal does not show written as its escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def format_second(at_s: int) -> str:
    """A second since 1970 in RFC 3339; one that no calendar has as a number."""
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{at_s} s after 1970"


def configure_log(*, as_json: bool = False) -> None:
    """Send the program's own log to standard error; standard output is for results.

    Lines of key=value for somebody who waits for a command; with ``as_json`` an object a line with its time, for what
    runs for weeks.
    """
    import structlog

    if as_json:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        )
        return

    def say(_logger: Any, _method: str, event: Mapping[str, Any]) -> str:
        return escape_controls(" ".join(f"{name}={value}" for name, value in event.items()))

    structlog.configure(
        processors=[structlog.processors.add_log_level, say],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def _to_stderr(text: str) -> None:
    for line in text.split("\n"):
        sys.stderr.write(f"{escape_controls(line)}\n")
    sys.stderr.flush()


def _say_nothing(done: int, total: int, note: str = "") -> None:
    """Show no progress."""


@contextmanager
def _reader_may_go() -> Iterator[None]:
    """Leave with ``PIPE_CLOSED`` when whoever reads standard output has stopped reading."""
    try:
        yield
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end; that must find something open.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(PIPE_CLOSED) from None
