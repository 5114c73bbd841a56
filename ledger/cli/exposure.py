"""``grantledger exposure``: who is affected, for sure and possibly (verdict rules, section 2.4)."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.output import Field
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.cli.verify import EngineName, Tiles, Vkey

DEFAULT_CIRCUMSTANCES = "same-worker,same-ip,same-path,within=360s"


def exposure(
    ctx: typer.Context,
    circumstances: Annotated[
        str,
        typer.Option(
            "--circumstances",
            metavar="LIST",
            help="What must coincide where nobody observed the destination; drop or change any part.",
        ),
    ] = DEFAULT_CIRCUMSTANCES,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only deliveries from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only deliveries before then.")
    ] = None,
    tiles: Tiles = None,
    vkey: Vkey = None,
    engine: EngineName = "duckdb",
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List whose data was exposed for sure, and whose possibly, per account, other person and developer.

    Where the destination was observed the set is exact. Where it was not, a delivery is possibly exposed when the
    circumstances of a shared cache coincide: the same worker delivered for another developer to the same address, port
    and path within the window before it. People are tags. TIME is RFC 3339 with Z, or milliseconds.

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
    from ledger.audit.exposure import Period, assess
    from ledger.core.exposure import parse_circumstances
    from ledger.engines.codec import MsgspecCodec
    from ledger.errors import FormatError, UsageError
    from ledger.verifying import Asked, open_source, run_verification

    session = begin(ctx, db, as_json, quiet)
    try:
        wanted = parse_circumstances(circumstances)
        period = Period(*(None if text is None else _instant(text) for text in (since, until)))
    except FormatError as error:
        raise UsageError(str(error)) from error
    settings = session.load_settings()
    asked = Asked(tiles=tiles, vkey=vkey, engine=engine, with_index=False, remember=False)
    source = open_source(settings, asked)
    with session.output.progress("assessing") as bar:
        verified = run_verification(
            settings, asked, lambda phase, done, total: bar(done, total, phase), source=source
        )
    if verified.report.exit_status == 2:
        session.output.error("the ledger is broken, so no set can be exact: run `grantledger verify`")
        raise typer.Exit(2)
    found = assess(verified, source, MsgspecCodec(), wanted, period)
    document = found.to_json()
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
    session.output.result(document, fields)


def _instant(text: str) -> int:
    from ledger.core.timestamps import parse_instant

    return parse_instant(int(text) if text.isdecimal() and text.isascii() else text)
