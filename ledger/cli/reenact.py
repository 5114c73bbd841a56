"""``grantledger reenact``: play the fault of 2018, and see who would have noticed (delivery protocol, section 3.7)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.cli.exits import EXPOSURES, OK
from ledger.cli.output import Field
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

DEFAULT_DIRECTORY = Path("reenactment-out")
COLLISIONS_SHOWN = 5
FOUND_AFTER = "sixteen months"
"""How long the fault went on in the world before it was found."""

Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed is another world.")]
ScaleName = Annotated[str, typer.Option("--scale", metavar="small|default|large", help="How much traffic.")]
FaultName = Annotated[
    str,
    typer.Option(
        "--fault",
        metavar="FAULT",
        help="What is wrong with the dispatcher: ip+path (as published), ip, reused-connection, or none.",
    ),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where to write; a former reenactment there is replaced.")
]
ThroughService = Annotated[
    bool,
    typer.Option(
        "--through-service",
        help="Play the same traffic through a real `grantledger serve` as well, on the wall clock.",
    ),
]
ServiceDb = Annotated[
    str | None,
    typer.Option(
        "--service-db",
        metavar="URL",
        help="That service's database: an empty one, postgresql://USER@HOST/NAME. [default: DIR/service.db]",
    ),
]
NoServe = Annotated[
    bool, typer.Option("--no-serve", help="End when the report is written, as it does anyway.")
]


def reenact(
    ctx: typer.Context,
    seed: Seed = 1,
    scale: ScaleName = "default",
    fault: FaultName = "ip+path",
    out: Out = DEFAULT_DIRECTORY,
    through_service: ThroughService = False,
    service_db: ServiceDb = None,
    _no_serve: NoServe = False,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Replay the fault of 2017-2018 over real HTTPS, and audit it.

    Sixteen months of Account Activity on a virtual clock: developers with TLS keys of their own behind few loopback
    addresses, and a dispatcher with the fault. Whose key ended each connection is the truth, which no auditor is
    shown. What was delivered is imported into a ledger in DIR, sealed and verified; then the same traffic goes
    through the gate.

    What had to follow is played too, in DIR/incident.db: the incident, notices to everybody affected, obligations to
    delete, public updates, the draft for the authority, and an export that its recipient opens and checks offline.

    DIR gets report.html, report.json, records.jsonl, findings.jsonl, ground-truth.jsonl, the published log,
    art33.html, the opened export and the ledgers. Equal seed, scale and fault give equal results. A directory that
    holds anything else is left alone.

    With --through-service the same people, apps, subscriptions, withdrawals and events then go, in the same order,
    through a service that is started for it: its API is called, and its deliveries arrive at the same receivers. It
    runs on the wall clock, so the order is kept and the dates are not. What the receivers' logs say is compared with
    what had to arrive, delivery by delivery, and the service's ledger, DIR/service.db, is verified.

    \b
    Examples:
      grantledger reenact
      grantledger reenact --fault reused-connection --seed 7 --out ./play --json
      grantledger reenact --through-service --scale small

    \b
    Exit status:
      0  played, whatever was found of the fault; `grantledger verify` on its ledger then exits 1
      1  the service delivered something wrongly, lost something, or its ledger has findings of exposure
      2  the service's ledger contradicts itself
      3  bad usage, a directory that holds something else, a service that did not run, or the machine failed
    """
    from ledger.cli.output import configure_log
    from ledger.reenactment.reenact import Asked
    from ledger.reenactment.reenact import reenact as play

    session = begin(ctx, db, as_json, quiet)
    if session.database is not None:
        raise UsageError(
            "a reenactment makes ledgers of its own: name their directory with --out, and no --db"
        )
    configure_log()
    with session.output.progress("reenacting") as bar:
        report = play(
            Asked(seed, scale, fault, through_service, service_db),
            out,
            lambda doing, done, total: bar(done, total, f"{doing}: {done:,} of {total:,}"),
        )
    session.output.result(report, _fields(report, out))
    service = report["service"]
    if service is None or service["is_right"]:
        return OK
    return max(EXPOSURES, int(service["exit_status"]))


def _fields(report: dict[str, Any], out: Path) -> list[Field]:
    from ledger.reporting.words import number

    fault, seed, scale = (report[name] for name in ("fault", "seed", "scale"))
    return [
        ("reenactment", f"fault {fault}, seed {seed}, scale {scale}"),
        ("ground truth", _truth(report["truth"], report["traffic"])),
        ("auditors", _auditors(report["auditors"])),
        ("exposure", _exposure(report["exposure"])),
        ("first finding", _first(report["first"])),
        ("collisions", _collisions(report["collisions"])),
        ("with the gate", _gate(report["gate"])),
        *([] if report["service"] is None else [("through the service", _service(report["service"]))]),
        *([] if report["aftermath"] is None else [("afterwards", _aftermath(report["aftermath"]))]),
        ("findings", "\n".join(f"{count:,} {code}" for code, count in report["codes"].items()) or "none"),
        ("report", out / "report.html"),
        ("more in", f"{out}: report.json, records.jsonl, findings.jsonl, ground-truth.jsonl, public"),
        (
            "took",
            f"{report['runtime']['seconds']} s, {number(report['runtime']['https_requests'])} HTTPS requests",
        ),
        (
            "now try",
            f"{report['ledger']['verify_command']}\n(it exits with status {report['ledger']['exit_status']})",
        ),
    ]


def _truth(truth: dict[str, Any], traffic: dict[str, Any]) -> str:
    from ledger.reporting.words import counted, number, share

    astray, sent = number(truth["misdelivered"]), number(traffic["deliveries"])
    active = share(truth["share_of_active_accounts"])
    others = counted(truth["subjects"], "other person", "other people")
    return (
        f"{astray} of {sent} deliveries ended at the TLS key of another developer\n"
        f"{counted(truth['accounts'], 'account')} ({active} of the active), {others}"
    )


def _auditors(rows: list[dict[str, Any]]) -> str:
    from ledger.reporting.words import share

    lines = [f"{'':<34}{'named':>7}{'right':>7}{'wrong':>7}{'missed':>8}{'precision':>11}{'recall':>8}"]
    lines += [
        f"{row['name']:<34}{row['flagged']:>7,}{row['true_positives']:>7,}{row['false_positives']:>7,}"
        f"{row['false_negatives']:>8,}{share(row['precision']):>11}{share(row['recall']):>8}"
        for row in rows
    ]
    return "\n".join(lines)


def _exposure(exposure: dict[str, Any]) -> str:
    from ledger.reporting.words import counted, share

    def line(how: str, part: float) -> str:
        people = exposure[how]
        return (
            f"{counted(people['deliveries'], 'delivery')}, {counted(people['accounts'], 'account')} ({share(part)} of "
            f"the active), {counted(people['subjects'], 'other person', 'other people')}"
        )

    definite, possible = (
        line("definite", exposure["share_definite"]),
        line("possible", exposure["share_possible"]),
    )
    return f"definite: {definite}\npossible besides, had nobody observed the destinations: {possible}"


def _first(first: dict[str, Any]) -> str:
    from ledger.reporting.words import duration

    if first["seconds_to_finding"] is None:
        return "none"
    return (
        f"{first['finding']}, {duration(first['seconds_to_finding'])} after the first misdelivered body left "
        f"({first['misdelivery_at']})\nin the world it was {FOUND_AFTER}"
    )


def _collisions(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows[:COLLISIONS_SHOWN]:
        days = row["before_first_misdelivery_days"]
        when = (
            "nothing went astray there"
            if days is None
            else f"{days:,.1f} days before anything went astray there"
        )
        place = f"{row['address']}:{row['port']}{row['path']}"
        lines.append(f"{' and '.join(row['developers'])} at {place} since {row['since'][:10]}, {when}")
    if len(rows) > COLLISIONS_SHOWN:
        lines.append(f"and {len(rows) - COLLISIONS_SHOWN} more")
    return "\n".join(lines) or "none"


def _gate(gate: dict[str, Any]) -> str:
    refused = ", ".join(f"{count:,} {code}" for code, count in gate["refusals_by_code"].items())
    return (
        f"{gate['attempted']:,} attempts asked for, {gate['settled']:,} sent, {gate['refused']:,} refused"
        f"{f' ({refused})' if refused else ''}\n"
        f"{gate['misdelivered']:,} misdelivered; verify exits with status {gate['exit_status']}"
    )


def _aftermath(after: dict[str, Any]) -> str:
    from ledger.reporting.words import counted, number

    notices, export, draft = after["notices"], after["export"], after["draft"]
    incident = after["incident"]
    states = ", ".join(f"{row['name']} {row['state'].lower()}" for row in after["obligations"])
    told = counted(notices["sent"], "notice")
    filled = f"{number(draft['filled'])} fields filled, {number(len(draft['missing']))} missing"
    checked = "verified offline" if export["check_exit_status"] == 0 else "DOES NOT VERIFY"
    lines = [
        f"incident {incident['incident']}: {incident['cause']}, {counted(incident['findings'], 'finding')} frozen",
        f"{told} to the people affected; {number(notices['missed'])} missed, {number(notices['too_many'])} too many",
        f"{counted(len(after['obligations']), 'developer')} to delete: {states}",
        f"{counted(after['updates'], 'public update')}; draft for the authority: {filled}",
        f"export of {counted(export['entries'], 'entry', 'entries')}, opened by its recipient: {checked}",
    ]
    return "\n".join(lines)


def _service(service: dict[str, Any]) -> str:
    from ledger.reporting.words import counted, number

    refused = ", ".join(f"{number(count)} {code}" for code, count in service["refusals_by_code"].items())
    events, expected = counted(service["events"], "event"), counted(service["expected"], "delivery")
    arrived, astray = number(service["arrived"]), number(service["misdelivered"])
    attempts, refusals = counted(service["attempted"], "attempt"), number(service["refused"])
    lines = [
        f"{events} handed in; {arrived} of {expected} arrived, {number(service['lost'])} lost",
        f"{astray} misdelivered, by the receivers' own logs; {number(service['duplicates'])} arrived twice",
        f"{attempts}, of which {number(service['failed'])} failed; {refusals} refused{f' ({refused})' if refused else ''}",
        f"verify exits with status {service['exit_status']}: {service['verify_command']}",
        "on the wall clock: the order of the traffic was kept, its dates were not",
    ]
    if service["broken_off"]:
        lines.insert(1, "broken off there: what a change of a subscription had to wait for did not arrive")
    if service["decided_otherwise"]:
        lines.insert(3, f"{number(service['decided_otherwise'])} decided otherwise than they had to be")
    return "\n".join(lines)
