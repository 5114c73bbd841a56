"""How obligations are shown, and the arguments that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.output import Field
from ledger.cli.service_session import time_of

if TYPE_CHECKING:
    from ledger.ports.obligations import Obligation

Named = Annotated[
    str, typer.Argument(metavar="OBLIGATION", help="The obligation's id, as `obligation list` shows it.")
]
Words = Annotated[
    str, typer.Option("--text", metavar="TEXT", help="What there is to say; the log gets a commitment to it.")
]


def row_of(one: Obligation) -> dict[str, Any]:
    """An obligation as programs get it."""
    from ledger.incidents.obligation_states import deadlines_of

    acknowledge_by, delete_by, attest_by = deadlines_of(one)
    return {
        "obligation": one.obligation,
        "incident": one.incident,
        "developer": one.developer,
        "state": one.state,
        "deliveries": one.deliveries,
        "tree_size": one.tree_size,
        "list_root": one.list_root,
        "opened_at": time_of(one.opened_at_ms),
        "acknowledge_by": time_of(acknowledge_by.by_ms),
        "delete_by": time_of(delete_by.by_ms),
        "attest_by": time_of(attest_by.by_ms),
        "overdue": list(one.overdue),
        "steps": list(one.steps),
        "attestation": one.attestation,
        "contradicted_by": one.contradicted_by,
    }


def fields_of(row: dict[str, Any]) -> list[Field]:
    """The same for people."""
    fields: list[Field] = []
    for name, value in row.items():
        if name == "remarks":
            fields += [(f"said in step {one['version']}", f"{one['actor']}: {one['text']}") for one in value]
        elif name in ("attested", "proof"):
            fields += [(f"{name} {part}", _text(told)) for part, told in value.items()]
        elif value not in (None, []):
            fields.append((name.replace("_", " "), _text(value)))
    return fields


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
