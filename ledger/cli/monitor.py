"""``grantledger monitor``: follow logs as they grow, and tell what is wrong with them as it happens (verdict rules)."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.exits import OK, UNUSABLE
from ledger.cli.output import Output, configure_log
from ledger.cli.session import AsJson, Db, Quiet, Session, begin
from ledger.cli.verify import ApiKey, RequireTickets
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.audit.cosigners import WitnessDemand
    from ledger.monitor.log_monitor import LogMonitor, Round, Strictness, Target
    from ledger.monitor.rounds import Rounds

Logs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[[NAME=]URL|DIR]...",
        help="Published logs to follow. [default: the ledger's own database, with what is not sealed yet]",
        show_default=False,
    ),
]
Vkeys = Annotated[
    list[Path] | None,
    typer.Option("--vkey", metavar="FILE", help="A log's public key: one for each log, in the same order."),
]
Policy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="Witnesses whose cosignatures a checkpoint must carry."),
]
Findings = Annotated[
    Path | None,
    typer.Option(
        "--findings", metavar="FILE", help="Append the lines there, each once. [default: standard output]"
    ),
]
MetricsAt = Annotated[
    str | None, typer.Option("--metrics", metavar="HOST:PORT", help="Serve metrics for Prometheus there.")
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="What is kept between two starts. [default: in the user's state directory]",
    ),
]
Interval = Annotated[
    float, typer.Option("--interval", metavar="SECONDS", min=0.1, max=86_400, help="Between two looks.")
]
Once = Annotated[bool, typer.Option("--once", help="Look once and leave: for cron.")]
Index = Annotated[bool, typer.Option("--index/--no-index", help="Replay the index and check every map root.")]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        help="1: replay the index in this process; 2: in one beside it; 3: in two. [default: 2]",
    ),
]
StaleAfter = Annotated[
    float,
    typer.Option(
        "--stale-after", metavar="SECONDS", min=0, help="How long an older checkpoint may be shown again."
    ),
]
Cosign = Annotated[
    Path | None,
    typer.Option(
        "--cosign",
        metavar="DIR",
        help="Be the witness that lives there, for what was replayed and found right.",
    ),
]
Listen = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="Where logs ask for cosignatures, with --cosign.")
]
EachRound = Annotated[bool, typer.Option("--rounds", help="Also print a line after every look.")]


def monitor(
    ctx: typer.Context,
    logs: Logs = None,
    vkey: Vkeys = None,
    api_key: ApiKey = None,
    policy: Policy = None,
    findings: Findings = None,
    metrics: MetricsAt = None,
    state: State = None,
    interval: Interval = 10.0,
    once: Once = False,
    index: Index = True,
    require_tickets: RequireTickets = False,
    processes: Processes = None,
    stale_after: StaleAfter = 60.0,
    rounds: EachRound = False,
    cosign: Cosign = None,
    listen: Listen = "127.0.0.1:8600",
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Follow logs and tell what is wrong with them, as it happens.

    Reads what is new, and checks of it what `verify` checks of everything: signature, witnesses, that the
    tree continues the one it saw before, tiles, every index, every delivery. What a later entry changes is
    told again. It prints a JSON object a line: `finding`, `changed`, `withdrawn`; docs/monitor.md has the
    members. It may be killed at any time and goes on where it was; each line is told once.

    \b
    Examples:
      grantledger monitor https://ledger.example --vkey ledger.vkey --findings findings.jsonl
      grantledger monitor prod=https://a.example ./mirror --vkey a.vkey --vkey b.vkey --metrics 127.0.0.1:9400
      grantledger monitor https://ledger.example --vkey ledger.vkey --once
      grantledger monitor https://ledger.example --vkey ledger.vkey --cosign ./north --listen 0.0.0.0:8600

    \b
    Exit status (with --once: of what stands about all logs; else 0 when it is told to stop):
      0  unbroken, and no data reached anybody without a right to it
      1  unbroken, and somebody's data was exposed
      2  a log is broken
      3  bad usage or input, or a log could not be read
    """
    from ledger.monitor.log_monitor import Strictness

    session = begin(ctx, db, as_json, quiet)
    session.check_target(findings)
    configure_log()
    targets = _targets(session, logs or [], vkey or [], api_key or None)
    strictness = Strictness(
        with_index=index,
        require_tickets=require_tickets,
        processes=2 if processes is None else processes,
        stale_seconds=stale_after,
        witnesses=None if policy is None else _demand(policy, targets),
    )
    with ExitStack() as stack:
        directory = state or session.load_settings().state_directory / "monitor"
        looks = _open(stack, session.output, targets, strictness, directory, findings, metrics, rounds)
        if once:
            return _status(session.output, looks)
        if cosign is not None:
            _cosign(stack, session.output, cosign, listen, looks, is_replayed=index)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: looks.stop())
        looks.run(interval)
    return OK


def _open(
    stack: ExitStack,
    output: Output,
    targets: list[Target],
    strictness: Strictness,
    directory: Path,
    findings: Path | None,
    metrics: str | None,
    with_rounds: bool,
) -> Rounds:
    """All that a monitor is made of; ``stack`` closes it, and so keeps what was read."""
    from ledger.monitor.log_monitor import LogMonitor
    from ledger.monitor.metrics import MonitorMetrics
    from ledger.monitor.rounds import Rounds
    from ledger.monitor.state_lock import StateLock
    from ledger.monitor.telling import Teller
    from ledger.store.findings_file import FindingsFile
    from ledger.store.monitor_book import MonitorBook

    stack.callback(StateLock(directory).close)
    book = MonitorBook(directory / "monitor.db")
    stack.callback(book.close)
    file = None if findings is None else FindingsFile(findings)
    if file is not None:
        stack.callback(file.close)
    teller = Teller(book, file, output.raw)
    monitors = [LogMonitor(target, strictness, book, directory) for target in targets]
    counted = MonitorMetrics(target.name for target in targets)
    if metrics is not None:
        stack.callback(counted.serve(*_address(metrics)).shutdown)
    bar = stack.enter_context(output.progress("following"))
    for one in monitors:
        stack.callback(one.close)
    looks = Rounds(
        monitors,
        teller,
        counted,
        on_progress=lambda name, done, total: bar(done, total, f"{name}: {done:,} of {total:,}"),
        on_round=lambda one, made: _say_round(output, one, made) if with_rounds else None,
        # Whoever reads these lines may have died: only a line shows that, also where the log cannot be read.
        on_failed=lambda one, reason: _say_failed(output, one, reason) if with_rounds else None,
    )
    # What a monitor that was killed had found and not told.
    teller.tell()
    return looks


def _targets(session: Session, logs: list[str], vkeys: list[Path], api_key: str | None) -> list[Target]:
    from ledger.monitor.log_monitor import Target, read_vkey

    if not logs:
        return [_own(session, vkeys)]
    if len(logs) != len(vkeys):
        raise UsageError(
            f"{len(logs)} logs and {len(vkeys)} keys: name each log's public key with --vkey FILE, in the same order; "
            "get it from somewhere else than the log itself"
        )
    targets: list[Target] = []
    for text, file in zip(logs, vkeys, strict=True):
        name, separator, place = text.partition("=")
        if not separator or "/" in name:
            name, place = text, text
        if any(name == other.name for other in targets):
            raise UsageError(f"two logs are called {name!r}: write NAME=URL")
        targets.append(Target(name, read_vkey(file), place, api_key=api_key))
    if len({target.vkey for target in targets}) < len(targets):
        raise UsageError(
            "two logs have one key: a log is followed once; its mirrors by monitors of their own"
        )
    return targets


def _own(session: Session, vkeys: list[Path]) -> Target:
    """The ledger's own database."""
    from ledger.monitor.log_monitor import Target
    from ledger.verifying import Asked, choose_vkey, open_source

    settings = session.load_settings()
    asked = Asked(vkey=vkeys[0] if vkeys else None)
    vkey, _ = choose_vkey(settings, asked, open_source(settings, asked))
    return Target(settings.database, vkey, database_url=settings.database_url)


def _demand(path: Path, targets: list[Target]) -> WitnessDemand | None:
    """What the policy demands; it has to be one for each of the logs."""
    from ledger.vault.ed25519 import verifier_from_vkey
    from ledger.verifying import Asked, find_witnesses

    demands = [find_witnesses(Asked(policy=path), verifier_from_vkey(target.vkey)) for target in targets]
    return demands[0]


def _cosign(
    stack: ExitStack, output: Output, directory: Path, listen: str, looks: Rounds, *, is_replayed: bool
) -> None:
    """Be a witness until ``stack`` is closed."""
    from ledger.monitor.listening import cosigning
    from ledger.wiring import SYSTEM_CLOCK

    if not is_replayed or any(one.target.place is None for one in looks.monitors):
        raise UsageError(
            "--cosign says that the index of a published log was replayed: name one, without --no-index"
        )
    name = stack.enter_context(cosigning(directory, *_address(listen), looks, SYSTEM_CLOCK))
    output.remark(f"cosigning as {name} at http://{listen}")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise UsageError(f"{text!r} is no address: write HOST:PORT")
    return host.strip("[]"), int(port)


def _say_round(output: Output, one: LogMonitor, made: Round) -> None:
    line = {
        "line": "round",
        "log": one.target.name,
        "state": made.state,
        "tree_size": made.size,
        "checkpoint_size": None if made.checkpoint is None else made.checkpoint.size,
        "read": made.read,
        "told": made.told,
        "milliseconds": round(made.seconds * 1_000),
        "exit_status": one.exit_status(),
        "findings": [[code, severity, count] for (code, severity), count in sorted(one.counts().items())],
    }
    output.raw(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _say_failed(output: Output, one: LogMonitor, reason: str) -> None:
    line = {"line": "unreadable", "log": one.target.name, "reason": reason}
    output.raw(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _status(output: Output, looks: Rounds) -> int:
    """Look once; the exit status of what stands then."""
    failed = looks.once()
    for name, reason in failed.items():
        if reason is not None:
            output.error(f"{name}: {reason}")
    worst = max((one.exit_status() for one in looks.monitors), default=OK)
    return worst or (UNUSABLE if any(failed.values()) else OK)
