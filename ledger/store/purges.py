"""What every table beside the log holds about an account, and how it is destroyed: the one list (ledger format, 1.2).

**Whoever makes a table that holds something about a person adds a line to** :data:`PURGES`: which rows are about the account
with the tag ``:account``, and in words what they are. A table that keeps a tag on purpose is named in :data:`KEPT`, with the
reason. A test looks at every column of every table that could hold a tag and fails for one that is named in neither.

Lines are in the order in which rows are destroyed: what finds others comes behind them. A line deletes rows, or, with
``clears``, empties columns of rows that are not only the person's; its condition must then not hold any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Purge:
    """Rows of ``table`` that are about the account ``:account``: those for which ``where`` holds; ``what`` they are."""

    table: str
    what: str
    where: str = "account = :account"
    clears: str | None = None


PURGES: tuple[Purge, ...] = (
    Purge(
        "service_notes",
        "notes of attempts",
        "delivery IN (SELECT delivery FROM service_parcels WHERE account = :account)",
    ),
    Purge("service_parcels", "parcels: waiting, delivered and dead letters"),
    Purge("service_events", "bodies that wait or could be replayed"),
    Purge("service_subscriptions", "subscriptions"),
    Purge("service_tokens", "tokens, sessions and texts that were consented to"),
    Purge("service_api_keys", "API keys", "role IN ('person', 'business') AND subject = :account"),
    Purge("service_notices", "notices in the inbox"),
    Purge("service_incident_notices", "notices about incidents"),
    Purge("service_contacts", "addresses"),
    Purge("service_canaries", "canaries: what opens their commitments"),
    Purge("service_apps", "ownership of apps", "owner_account = :account", "owner_account = NULL"),
    Purge(
        "privacy_erasures",
        "what the person wrote to ask for this",
        "account = :account AND words_sealed IS NOT NULL",
        "words_sealed = NULL",
    ),
)

CONTACTS: tuple[Purge, ...] = tuple(one for one in PURGES if one.table == "service_contacts")
"""Those of :data:`PURGES` that are addresses, for ``retention.contacts``."""

KEPT: Mapping[str, str] = MappingProxyType(
    {
        "service_events.subjects": "others in an account's events: the bodies are under that account's key",
        "service_incident_deliveries.account": "a frozen finding set, whose root stands in the log",
        "service_incident_deliveries.subjects": "likewise",
        "service_incident_people.account": "likewise",
        "service_obligation_lines.account": "what a developer has to delete: the list's root stands in the log",
        "service_exports.query": "what an export was asked about: its hash stands in the log",
        "privacy_erasures.account": "who was erased, by whom, and when: as the log has it",
        "privacy_erasures.requested_by": "likewise, where it was the person",
        "privacy_erasures.decided_by": "likewise, where the person took it back",
        "privacy_holds.account": "who must not be erased: as the log has it",
    }
)
"""Columns that go on holding tags of erased people, as the log does; nothing says any more who is behind them."""
