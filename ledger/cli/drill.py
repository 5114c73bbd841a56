"""``grantledger drill``: a misdelivery on purpose, and how long it takes to be noticed (delivery protocol, section 3.7)."""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.exits import EXPOSURES, OK
from ledger.cli.output import Field, configure_log
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import StoreError, UsageError

if TYPE_CHECKING:
    from ledger.cli.session import Session
    from ledger.drill.stages import Here

_SECONDS_MAX = 3_600.0

CONSEQUENCES = """\
--here sends a delivery astray in the ledger that is served here. That cannot be undone:
- the log gets an account, and exposures of it, that stand for ever: from now on `grantledger verify` exits with
  status 1 and names them, and so does everybody who follows this log
- no entry, option or role can mark them as a drill: whoever could would hide real ones in the same way
- nothing of a real account is touched; the developers are called drill-developer-a and drill-developer-b
Without --here a drill has a ledger of its own. To go on all the same, say --yes"""

KindName = Annotated[
    str,
    typer.Option(
        "--kind",
        metavar="observed|lie|unrecorded",
        help="What the log is told: where it went, that it went right, or nothing.",
    ),
]
Within = Annotated[
    float, typer.Option("--within", metavar="SECONDS", help="How soon every detector has to notice.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for whoever has not.")
]
InHere = Annotated[
    bool, typer.Option("--here", help="In the ledger that is served here, and not in one of its own.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do what --here warns of.")]
ServiceUrl = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="URL",
        help="With --here: where the service is. [default: $GRANTLEDGER_LISTEN, else http://127.0.0.1:8400]",
    ),
]
MetricsUrl = Annotated[
    str | None,
    typer.Option(
        "--metrics", metavar="URL", help="With --here: its process with the role audit. [default: the same]"
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option("--keep", metavar="DIR", help="Keep the drill's ledger and the service's log in DIR."),
]


def drill(
    ctx: typer.Context,
    kind: KindName = "observed",
    within: Within = 2.0,
    timeout: Timeout = 20.0,
    here: InHere = False,
    yes: Yes = False,
    service: ServiceUrl = None,
    metrics: MetricsUrl = None,
    keep: Keep = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Send a delivery astray on purpose, and see how soon that is noticed.

    Makes a ledger of its own, starts `grantledger serve` on it, and has one event of a made-up account go over a
    real connection to another developer than it was permitted for. Then it measures, from the first byte on, when
    each detector noticed: the service's live audit, the wrong developer's signed receipt, the canary that the
    account is, egress counts, and a whole verification at the end. No real account, developer or address has any
    part in it, and nothing is left of it unless --keep is given.

    With --here all of it takes place in the ledger that is served here, where its exposures stay for ever; it
    explains that and asks for --yes.

    \b
    Examples:
      grantledger drill
      grantledger drill --kind lie --json
      grantledger drill --kind unrecorded --keep ./drill

    \b
    Exit status:
      0  every detector that should have caught it did in time
      1  one did not
      3  bad usage, no service runs here, or the drill could not take place
    """
    from ledger.drill.drill import Asked, run_drill
    from ledger.drill.kinds import KINDS

    session = begin(ctx, db, as_json, quiet)
    wanted = next((one for one in KINDS if one == kind), None)
    if wanted is None:
        raise UsageError(f"there is no drill {kind!r}: write one of {', '.join(KINDS)}")
    _check_seconds(within, timeout)
    place = _place(session, service, metrics, is_yes=yes) if here else None
    if place is None and (session.database is not None or service is not None or metrics is not None):
        raise UsageError(
            "a drill makes a ledger of its own: leave --db, --service and --metrics out, or say --here"
        )
    configure_log()
    with _directory(keep) as name:
        report = run_drill(
            Asked(wanted, within, timeout), Path(name), os.environ, session.output.remark, place
        )
    session.output.result(report, _fields(report, keep))
    return OK if report["is_detected"] else EXPOSURES


def _check_seconds(within: float, timeout: float) -> None:
    if not 0 < within <= timeout <= _SECONDS_MAX:
        raise UsageError(f"--within is above 0 and at most --timeout, which is at most {_SECONDS_MAX:.0f}")


def _place(session: Session, service: str | None, metrics: str | None, *, is_yes: bool) -> Here:
    """The ledger that is served here; UsageError where the consequences were not taken."""
    from ledger.drill.stages import Here

    if not is_yes:
        raise UsageError(CONSEQUENCES)
    return Here(session.load_settings(), service, metrics)


def _directory(keep: Path | None) -> AbstractContextManager[str]:
    if keep is None:
        return tempfile.TemporaryDirectory(prefix="grantledger-drill-")
    try:
        keep.mkdir(parents=True, exist_ok=True)
        is_empty = not any(keep.iterdir())
    except OSError as error:
        raise StoreError(f"{keep} cannot be written: {error.strerror}") from error
    if not is_empty:
        raise UsageError(f"{keep} is not empty: name another directory with --keep")
    return nullcontext(str(keep))


def _fields(report: dict[str, Any], keep: Path | None) -> list[Field]:
    where = "a ledger of its own" if report["is_own_ledger"] else "the ledger that is served here"
    limit = f"{report['within_seconds']:g} s"
    verified = report["verify"]
    if not report["is_own_ledger"]:
        ends = "its exposures stay in the log; keys, webhooks, grants and the account are ended"
    elif keep is None:
        ends = "nothing is left of it"
    else:
        ends = f"kept: grantledger verify --db {keep / 'drill.db'}"
    astray = (
        f"{report['drill']}, first byte at {report['first_byte_at']}\n"
        f"meant for {report['meant_for']}, went to {report['went_to']} ({report['observed']['sni']})\n"
        f"the log was told {report['log_was_told']}"
    )
    return [
        ("drill", f"{report['kind']}, in {where} ({report['log']})"),
        ("astray", astray),
        ("detectors", "\n".join(_line(row) for row in report["detectors"])),
        ("verify", f"exits with status {verified['exit_status']} at {verified['tree_size']} entries"),
        (
            "verdict",
            f"noticed within {limit} by every detector that should have"
            if report["is_detected"]
            else f"NOT noticed within {limit} by every detector that should have",
        ),
        ("left behind", ends),
    ]


def _line(row: dict[str, Any]) -> str:
    if not row["is_expected"]:
        return f"{row['detector']:<14}{'cannot':>9}  {row['note']}"
    if not row["is_detected"]:
        return f"{row['detector']:<14}{'no':>9}  {row['note']}"
    entries = ", ".join(str(seq) for seq in row["finding"]["entries"])
    late = "" if row["is_in_time"] else ", too late"
    return f"{row['detector']:<14}{row['seconds']:>7.2f} s  {row['code']}, entries {entries} ({row['note']}{late})"
