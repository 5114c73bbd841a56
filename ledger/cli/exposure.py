"""``grantledger exposure``: who is affected, for sure and possibly (verdict rules, section 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.exits import BROKEN
from ledger.cli.output import Field
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.cli.verify import ApiKey, EngineName, Tiles, Vkey
from ledger.errors import FormatError, UsageError

if TYPE_CHECKING:
    from ledger.audit.exposure import Assessment, Period
    from ledger.core.exposure import Circumstances

DEFAULT_CIRCUMSTANCES = "same-worker,same-ip,same-path,within=360s"

What = Annotated[
    str,
    typer.Option(
        "--circumstances",
        metavar="LIST",
        help="What must coincide where nobody observed the destination; drop or change any part.",
    ),
]
Since = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only deliveries from then on.")]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only deliveries before then.")]


def exposure(
    ctx: typer.Context,
    circumstances: What = DEFAULT_CIRCUMSTANCES,
    since: Since = None,
    until: Until = None,
    tiles: Tiles = None,
    vkey: Vkey = None,
    api_key: ApiKey = None,
    engine: EngineName = "duckdb",
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List whose data was exposed for sure, and whose possibly.

    Per account, other person and developer. Where the destination was observed the set is exact. Where it was not, a
    delivery is possibly exposed when the circumstances of a shared cache coincide: the same worker delivered for
    another developer to the same address, port and path within the window before it. People are tags. TIME is
    RFC 3339 with Z, or milliseconds.

    \b
    Examples:
      grantledger exposure
      grantledger exposure --circumstances same-ip,same-path,within=600s --json
      grantledger exposure --from 2018-01-01T00:00:00Z --to 2018-02-01T00:00:00Z

    \b
    Exit status:
      0  assessed, whatever was found
      2  the ledger itself is broken: verify it first
      3  bad usage or input
    """
    from ledger.audit.exposure import assess
    from ledger.engines.codec import MsgspecCodec
    from ledger.verifying import Asked, open_source, run_verification

    session = begin(ctx, db, as_json, quiet)
    wanted, period = _parse(circumstances, since, until)
    settings = session.load_settings()
    asked = Asked(
        tiles=tiles, vkey=vkey, api_key=api_key or None, engine=engine, with_index=False, remember=False
    )
    source = open_source(settings, asked)
    with session.output.progress("assessing") as bar:
        verified = run_verification(
            settings, asked, lambda phase, done, total: bar(done, total, phase), source=source
        )
    if verified.report.exit_status == BROKEN:
        session.output.error("the ledger is broken, so no set can be exact: run `grantledger verify`")
        raise typer.Exit(BROKEN)
    found = assess(verified, source, MsgspecCodec(), wanted, period)
    document = found.to_json()
    session.output.result(document, _fields(found, document))


def _parse(circumstances: str, since: str | None, until: str | None) -> tuple[Circumstances, Period]:
    from ledger.audit.exposure import Period
    from ledger.core.exposure import parse_circumstances

    try:
        period = Period(*(None if text is None else _parse_time(text) for text in (since, until)))
        return parse_circumstances(circumstances), period
    except FormatError as error:
        raise UsageError(str(error)) from error


def _fields(found: Assessment, document: dict[str, Any]) -> list[Field]:
    fields: list[Field] = [
        ("as of", f"tree size {found.tree_size:,}"),
        ("circumstances", str(found.circumstances)),
        ("active accounts", f"{found.active_accounts:,}"),
    ]
    for how in ("definite", "possible"):
        row = document[how]
        share = 100 * row["share_of_active_accounts"]
        people = (
            f"{row['accounts']:,} accounts ({share:.3f} % of the active), {row['subjects']:,} other people"
        )
        fields.append((how, f"{row['deliveries']:,} deliveries, {people}"))
    fields += [
        (row["developer"], f"{row['definite']:,} definite, {row['possible']:,} possible deliveries")
        for row in document["developers"]
    ]
    return fields


def _parse_time(text: str) -> int:
    from ledger.core.timestamps import parse_instant

    return parse_instant(int(text) if text.isdecimal() and text.isascii() else text)
