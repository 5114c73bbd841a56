"""``grantledger verify``: is this one unbroken log, the one signed, and was each delivery backed (verdict rules)."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import Field, Output, format_second
from ledger.cli.session import AsJson, Db, Quiet, Session, begin
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.audit.cosigners import Cosigner
    from ledger.audit.report import Report
    from ledger.verifying import Asked

FINDINGS_SHOWN = 20

Tiles = Annotated[
    str | None,
    typer.Option(
        "--tiles", metavar="DIR|URL", help="Verify a published log instead of a database, here or elsewhere."
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="GRANTLEDGER_API_KEY",
        show_envvar=False,
        help="A key of the role auditor, where a log at a URL shows its entries to auditors only. "
        "[default: $GRANTLEDGER_API_KEY]",
    ),
]
Vkey = Annotated[
    Path | None, typer.Option("--vkey", metavar="FILE", help="The log's public key; needed with --tiles.")
]
EngineName = Annotated[str, typer.Option("--engine", metavar="scalar|duckdb", help="How to read and judge.")]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Processes to read with. [default: one a processor]")
]
Earlier = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="OLD", help="A checkpoint kept from earlier: the log must continue it."
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        "--policy", metavar="FILE", help="A witness policy: its quorum must have cosigned the checkpoint."
    ),
]
Bundles = Annotated[
    list[Path] | None,
    typer.Option(
        "--bundle",
        metavar="FILE",
        help="A completeness bundle that somebody was shown: is its index what the log says? Repeatable.",
    ),
]
Index = Annotated[bool, typer.Option("--index/--no-index", help="Replay the index and check every map root.")]
RequireTickets = Annotated[
    bool, typer.Option("--require-tickets", help="A delivery without a ticket is an exposure.")
]
Identities = Annotated[
    bool,
    typer.Option("--identities", help="Also compare tags with the vault; needs the operator's key."),
]
UnsettledMax = Annotated[
    int | None,
    typer.Option("--max-unsettled", metavar="N", min=0, help="Exit 1 beyond N attempts of unknown end."),
]
Remember = Annotated[
    bool,
    typer.Option("--remember/--no-remember", help="Remember the checkpoint, and check against the last one."),
]
Findings = Annotated[
    Path | None,
    typer.Option("--findings", metavar="FILE", help="Write the findings there, a JSON object a line."),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report there as one self-contained page."),
]


def verify(
    ctx: typer.Context,
    tiles: Tiles = None,
    vkey: Vkey = None,
    api_key: ApiKey = None,
    checkpoint: Earlier = None,
    policy: Policy = None,
    bundle: Bundles = None,
    engine: EngineName = "duckdb",
    processes: Processes = None,
    index: Index = True,
    require_tickets: RequireTickets = False,
    identities: Identities = False,
    unsettled_max: UnsettledMax = None,
    remember: Remember = True,
    findings: Findings = None,
    html: Html = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check that the ledger is unbroken and every delivery was backed.

    Reads every entry, from a database or from a published log, and trusts nothing but their bytes, the log's public
    key, and checkpoints kept from earlier. Every field that is judged comes out of bytes that the signed tree covers.

    \b
    Examples:
      grantledger verify
      grantledger verify --tiles ./public --vkey log.vkey --checkpoint last-month.checkpoint
      grantledger verify --tiles https://ledger.example --vkey log.vkey --policy policy.txt
      grantledger verify --bundle shown-to-me.json
      grantledger verify --json --findings findings.jsonl --html report.html

    \b
    Exit status:
      0  unbroken, and no data reached anybody without a right to it
      1  unbroken, and somebody's data was exposed: see the findings
      2  the ledger itself is broken: see where
      3  bad usage or input
    """
    from ledger.verifying import Asked

    session = begin(ctx, db, as_json, quiet)
    session.check_target(findings)
    session.check_target(html)
    asked = Asked(
        tiles=tiles,
        vkey=vkey,
        api_key=api_key or None,
        checkpoint=checkpoint,
        policy=policy,
        bundles=tuple(bundle or ()),
        engine=engine,
        processes=processes,
        with_index=index,
        require_tickets=require_tickets,
        unsettled_max=unsettled_max,
        remember=remember,
    )
    report = run(session, asked, identities)
    _write_files(report, findings, html)
    session.output.result(report.to_json(with_findings=findings is None), _fields(report))
    _show_findings(session.output, report, findings)
    if report.exit_status == 1 and tiles is None and not as_json:
        session.output.remark("exposures have causes: `grantledger incident open` opens an incident for each")
    raise typer.Exit(report.exit_status)


def run(session: Session, asked: Asked, identities: bool) -> Report:
    """Verify with a progress bar; with ``identities`` the ledger must be one that can be opened."""
    from ledger.verifying import run_verification

    if identities and asked.tiles is not None:
        raise UsageError(
            "--identities compares with the vault, which a published log has not: name a database"
        )
    with ExitStack() as stack:
        bar = stack.enter_context(session.output.progress("verifying"))
        check = stack.enter_context(session.open_ledger()).identity_check() if identities else None
        verified = run_verification(
            session.load_settings(),
            asked,
            lambda phase, done, total: bar(done, total, f"{phase}: {done:,} of {total:,}"),
            check,
        )
    return verified.report


def _write_files(report: Report, findings: Path | None, html: Path | None) -> None:
    if findings is not None:
        with findings.open("w", encoding="ascii") as file:
            for row in report.finding_rows():
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
    if html is not None:
        from ledger.reporting.verify_report import render_verify

        html.write_text(render_verify(report.to_json()), encoding="utf-8")


def _fields(report: Report) -> list[Field]:
    verdict = {
        0: "unbroken; every delivery was backed",
        1: "unbroken; data reached somebody who had no right to it",
        2: "BROKEN: the ledger contradicts itself, or what was signed",
    }[report.exit_status]
    counts = ", ".join(f"{count:,} {name}" for name, count in report.verdicts.items() if count)
    rows: list[Field] = [
        ("ledger", verdict),
        ("as of", f"tree size {report.tree_size:,}, log {report.origin}"),
        ("root", report.root or "none: entries are missing"),
        ("deliveries", counts or "none"),
        ("evidence", ", ".join(f"{report.evidence[name]:,} {name}" for name in ("observed", "intended"))),
    ]
    if report.cosigners:
        rows.append(("cosigned by", "\n".join(map(_cosigner, report.cosigners))))
    codes = report.codes()
    rows.append(("findings", "\n".join(f"{count:,} {code}" for code, count in codes.items()) or "none"))
    accounts = report.exposed.counts(report.exposed.accounts)
    subjects = report.exposed.counts(report.exposed.subjects)
    if accounts["definite"] or accounts["possible"]:
        rows.append(
            ("accounts affected", f"{accounts['definite']:,} definite, {accounts['possible']:,} possible")
        )
        rows.append(("other people", f"{subjects['definite']:,} definite, {subjects['possible']:,} possible"))
    rows += [("note", note) for note in report.notes]
    return rows


def _cosigner(cosigner: Cosigner) -> str:
    return f"{cosigner.name} ({cosigner.key}), {format_second(cosigner.cosigned_at_s)}"


def _show_findings(output: Output, report: Report, written: Path | None) -> None:
    if output.as_json or output.quiet or not report.findings:
        return
    shown = sorted(report.findings, key=lambda finding: "IXPA".index(finding.severity))[:FINDINGS_SHOWN]
    lines = []
    for finding in shown:
        judged = finding.judgement
        if judged is None:
            lines.append(f"  {finding.severity} {finding.code} at {list(finding.entries)}: {finding.text}")
            continue
        received = judged.actual.developer if judged.actual else "nobody known"
        lines.append(
            f"  {finding.severity} {finding.code}: delivery {judged.delivery.delivery} attempt "
            f"{judged.delivery.attempt}, meant for {judged.expected.developer or 'nobody known'}, received by {received}, "
            f"entries {list(finding.entries)}"
        )
    more = len(report.findings) - len(shown)
    where = f"; all of them in {written}" if written else "; all of them with --findings FILE or --json"
    output.text("\n".join(lines))
    if more > 0:
        output.remark(f"and {more:,} more findings{where}")
