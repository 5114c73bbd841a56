"""What the commands about exports share: the desk, who acts, keys given as text or in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.service_session import open_service
from ledger.cli.session import Session
from ledger.core.strict import ID_REGEX
from ledger.errors import UsageError

if TYPE_CHECKING:
    from ledger.exports.desk import ExportDesk
    from ledger.wiring.service import Service

VKey = Annotated[
    str | None,
    typer.Option("--vkey", metavar="KEY", help="The log's key, or a file with it, from somewhere else."),
]

_match_actor = re.compile(rf"[a-z_]{{1,32}}:{ID_REGEX}", re.ASCII).fullmatch


@contextmanager
def open_desk(session: Session) -> Iterator[tuple[Service, ExportDesk]]:
    """The service on the ledger of this run, and what makes its exports; closed at the end of the block."""
    with open_service(session) as service:
        yield service, service.exports


def actor_of(text: str) -> str:
    """``text`` where it says who acts: role and id; else UsageError."""
    if not _match_actor(text):
        raise UsageError(f"{text!r} does not say who: write ROLE:ID, such as operator:maria")
    return text


def text_or_file(text: str) -> str:
    """``text``, or what stands in the file that it names."""
    return Path(text).read_text("utf-8").strip() if os.path.exists(text) else text  # noqa: PTH110 - text may be no path
