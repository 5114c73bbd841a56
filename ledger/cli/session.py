"""What every command shares: the options ``--db``, ``--json`` and ``--quiet``, and the way to the ledger.

The options may stand before or after the command's name; after it they count more. A command takes them as
its last three parameters and begins with ``session = begin(ctx, db, as_json, quiet)``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import Output, configure_log
from ledger.errors import UsageError
from ledger.settings import Settings, load_settings

if TYPE_CHECKING:
    from ledger.wiring import Ledger

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        help="The ledger's database: a path, or postgresql://USER@HOST/NAME. "
        "[default: $GRANTLEDGER_DB, else grantledger.db]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks on standard error.")]
Purpose = Annotated[
    str | None, typer.Option("--purpose", metavar="ID", help="What it is read for; recorded with the look.")
]

ACTOR = "operator:cli"
"""Who looks at somebody's history by a command, as the look's entry says."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command: how it speaks, and which ledger it is about."""

    output: Output
    database: str | None

    def load_settings(self) -> Settings:
        """The settings of this run; raises SettingsError."""
        return load_settings(os.environ, self.database)

    def check_target(self, path: Path | None) -> None:
        """Raise UsageError where ``path``, a file to be written, is one of the ledger's own: it would be gone."""
        settings = self.load_settings()
        own = (
            settings.database_file,
            settings.checkpoint_file,
            settings.log_key_file,
            settings.operator_key_file,
        )
        if path is not None and path.resolve() in {file.resolve() for file in own if file is not None}:
            raise UsageError(f"{path} is a file of the ledger itself: name another file to write to")

    @contextmanager
    def open_ledger(self) -> Iterator[Ledger]:
        """The ledger of this run, closed at the end of the block; raises as :func:`ledger.wiring.open_ledger`."""
        from ledger.wiring import open_ledger

        configure_log()
        with open_ledger(self.load_settings()) as ledger:
            yield ledger


def begin(ctx: typer.Context, db: str | None, as_json: bool, quiet: bool) -> Session:
    """The session of a command from its own options and those before its name, which ``ctx.obj`` holds."""
    before = ctx.obj if isinstance(ctx.obj, Session) else Session(Output(), None)
    return Session(
        Output(as_json or before.output.as_json, quiet or before.output.quiet),
        before.database if db is None else db,
    )
