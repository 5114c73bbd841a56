"""The options that select entries, which exports and tables share (exports, section 5.5)."""

from __future__ import annotations

from typing import Annotated

import typer

Accounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="ID",
        help="About this account or person: the platform's id, or a tag. Repeatable.",
    ),
]
Developers = Annotated[
    list[str] | None, typer.Option("--developer", metavar="ID", help="About this developer. Repeatable.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pair", metavar="ACCOUNT:DEVELOPER", help="About this account together with this developer."
    ),
]
Incident = Annotated[str | None, typer.Option("--incident", metavar="ID", help="About this incident.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="Only entries of this kind. Repeatable.")
]
AtFrom = Annotated[
    str | None, typer.Option("--at-from", metavar="TIME", help="Took effect at or after (RFC 3339).")
]
AtTo = Annotated[str | None, typer.Option("--at-to", metavar="TIME", help="Took effect before.")]
RecordedFrom = Annotated[
    str | None, typer.Option("--recorded-from", metavar="TIME", help="Recorded at or after.")
]
RecordedTo = Annotated[str | None, typer.Option("--recorded-to", metavar="TIME", help="Recorded before.")]
SeqFrom = Annotated[int | None, typer.Option("--seq-from", metavar="SEQ", min=0, help="From this entry on.")]
SeqTo = Annotated[
    int | None, typer.Option("--seq-to", metavar="SEQ", min=0, help="Up to the entry before this one.")
]
