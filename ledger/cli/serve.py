"""``grantledger serve``: the delivery service and its API (delivery protocol)."""

from __future__ import annotations

import os
from contextlib import closing
from importlib import import_module
from typing import Annotated

import typer

from ledger.cli.exits import OK, UNUSABLE
from ledger.cli.output import configure_log
from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import UsageError

ROLES = ("api", "dispatch", "seal", "audit")

SENDING = frozenset({"api", "dispatch"})
"""The roles that hand out permits to send: to deliver, or to other systems that ask."""

_SERVER = "api.server"
"""By its name: the web stands beside the command line, and neither imports the other."""

Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Where to serve HTTP. [default: $GRANTLEDGER_LISTEN, else 127.0.0.1:8400]",
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="ROLE",
        help=f"Do only this: {', '.join(ROLES)}; may be given several times. [default: all]",
    ),
]


def serve(
    ctx: typer.Context,
    listen: Listen = None,
    role: Roles = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Run the delivery service: its API, and all that works behind it.

    One process does it all: it answers HTTP, delivers, seals, challenges webhooks, rescues attempts whose
    process died, and verifies its own ledger. With --role several processes share the work on one database;
    while more than one of them sends, each waits a second longer when somebody revokes, because it cannot
    see the others' permits. SIGINT and SIGTERM stop it: what has begun is finished, the rest waits in the outbox.

    \b
    To be asked by machines:
      GET /healthz   the process answers
      GET /readyz    it can do its work; else 503, with the reasons
      GET /metrics   counters for Prometheus
      GET /openapi.json

    \b
    Examples:
      grantledger serve
      grantledger serve --listen 0.0.0.0:8400 --db postgresql://service@db.example/ledger
      grantledger serve --role api --role seal

    \b
    Exit status:
      0  stopped as asked, everything that had begun is finished
      2  the ledger contradicts itself
      3  bad usage or settings, no ledger, the address is taken, or something did not end in time; or the database
         was put back from a backup and `grantledger restore` comes first
    """
    from ledger.service_settings import load_service_settings
    from ledger.store.presence import open_presence
    from ledger.wiring.service import open_service

    session = begin(ctx, db, as_json, quiet)
    roles = tuple(dict.fromkeys(role or ROLES))
    for one in roles:
        if one not in ROLES:
            raise UsageError(f"{one!r} is no role: write one of {', '.join(ROLES)}")
    service_settings = load_service_settings(os.environ, listen)
    configure_log(as_json=True)
    shown = f"http://{service_settings.listen_host}:{service_settings.listen_port}"
    settings = session.load_settings()
    with (
        closing(open_presence(settings.database_url)) as presence,
        open_service(settings, service_settings, presence=presence) as service,
    ):
        service.ledger.check_keys()
        service.privacy.prepare()
        if SENDING & set(roles):
            presence.enter()

        def say_listening() -> None:
            session.output.result(
                {"listening": shown, "origin": service.ledger.origin, "roles": list(roles)},
                [("listening", shown), ("log", service.ledger.origin), ("roles", ", ".join(roles))],
            )

        is_clean = import_module(_SERVER).serve(service, roles, say_listening)
    return OK if is_clean else UNUSABLE
