"""What the commands about incidents share: their options, and what they read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import UsageError

app = typer.Typer(rich_markup_mode=None)

Named = Annotated[str, typer.Argument(metavar="INCIDENT", help="The incident's id; see `incident list`.")]
By = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Who you are: an id; the log says operator:NAME.")
]
At = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="When it was, RFC 3339 with Z. [default: now]")
]
Text = Annotated[
    str,
    typer.Argument(metavar="TEXT", help="The words; - reads them from standard input, @FILE from a file."),
]
What = Annotated[
    str,
    typer.Option(
        "--circumstances", metavar="LIST", help="What has to coincide where nobody observed; see `exposure`."
    ),
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page to print, in one file.")
]
DEFAULT_CIRCUMSTANCES = "same-worker,same-ip,same-path,within=360s"
DEFAULT_BY = "cli"


@app.callback()
def about() -> None:
    """Open, assess, describe and close incidents.

    \b
    Examples:
      grantledger incident open
      grantledger incident show i-0123456789abcdef
      grantledger incident update i-0123456789abcdef 'We stopped the faulty workers.'

    \b
    Exit status: that of the command below it.
    """


def actor_of(name: str) -> str:
    """The operator ``name`` as entries have it."""
    from ledger.incidents.words import check_id

    check_id("name", name)
    return f"operator:{name}"


def instant_of(text: str | None) -> int | None:
    """The instant of ``--at``, in milliseconds."""
    if text is None:
        return None
    from ledger.core.timestamps import parse_instant
    from ledger.errors import FormatError

    try:
        return parse_instant(text)
    except FormatError as error:
        raise UsageError(f"--at: {error}") from error


def read_words(text: str) -> str:
    """The words that were given, or those of standard input or the file that they name."""
    if text == "-":
        return sys.stdin.read().strip()
    return read_file(Path(text[1:])).strip() if text.startswith("@") else text


def read_file(path: Path) -> str:
    """The text of a file that was named; UsageError where there is none."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
