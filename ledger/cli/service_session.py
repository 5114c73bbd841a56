"""What the commands about parties and keys share: the service on a ledger that may be served at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ledger.cli.output import Output, configure_log
from ledger.cli.session import Session

if TYPE_CHECKING:
    from ledger.gateway.tokens import Issuing
    from ledger.wiring.service import Service


@contextmanager
def open_service(session: Session) -> Iterator[Service]:
    """The service on the ledger of this run, which sends nothing; closed at the end of the block.

    Raises as :func:`ledger.wiring.open_ledger`. Other processes may append meanwhile, and a running service sees what was
    made here at once.
    """
    from ledger.service_settings import load_service_settings
    from ledger.wiring import service

    configure_log()
    settings = load_service_settings(os.environ)
    with service.open_service(session.load_settings(), settings, is_alone=False) as opened:
        yield opened


def issuing_of(service: Service) -> Issuing:
    """What gives out keys and tokens of ``service``."""
    from ledger.gateway.tokens import Issuing

    return Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )


def remark_once(output: Output) -> None:
    """Say that what was shown cannot be shown again."""
    output.remark("secrets and tokens are shown this once: only hashes of them are kept")


def time_of(at_ms: int | None) -> str:
    """``at_ms`` in RFC 3339, or ``-``."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
