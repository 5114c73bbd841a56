"""``grantledger verify-script``: the checker of proofs for machines without this project."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.session import AsJson, Db, Quiet, begin

Out = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is standard output.")
]


def verify_script(
    ctx: typer.Context,
    out: Out = Path("verify.py"),
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write verify.py, which checks proofs with nothing but Python.

    For Python 3.8 or later, without any package. verify.py checks what `grantledger prove` makes, on a machine that has
    nothing of this project; verify_bag.py, which comes with it and stays beside it, what `grantledger export` makes.
    Send them along, or let others take them from somewhere that they trust.

    \b
    Examples:
      grantledger verify-script -o verify.py
      python3 verify.py bundle.json --vkey log.vkey
      python3 verify.py export-directory --vkey log.vkey

    \b
    Exit status:
      0  written
      3  it cannot be written
    """
    session = begin(ctx, db, as_json, quiet)
    session.check_target(out)
    data = files("ledger.portable").joinpath("verify.py").read_bytes()
    if out == Path("-"):
        session.output.raw(data)
        return
    beside = out.with_name("verify_bag.py")
    session.check_target(beside)
    out.write_bytes(data)
    beside.write_bytes(files("ledger.portable").joinpath("verify_bag.py").read_bytes())
    session.output.result(
        {"file": str(out), "bytes": len(data), "beside": str(beside)},
        [("written", f"{out}\n{beside}"), ("bytes", f"{len(data):,}")],
    )
