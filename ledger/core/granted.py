"""What an account has granted and not taken back, as the entries have it (verdict rules, section 2.1).

For an account that looks at its permissions and for whoever ends them; whether a delivery is backed is
:mod:`ledger.core.grants`'. A grant stands until it is dead, so one that is suspended or begins later stands, too: it can
back deliveries without another word of the account.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.core.history import GrantRecord, History
from ledger.core.scopes import scopes_of_mask
from ledger.core.timelines import timeline_of


class Granted(NamedTuple):
    """A grant at an instant: its version then, or its first one where it begins later.

    ``made_ms`` is when it begins or was recorded, whichever is earlier: from then on it could be taken back.
    ``died_ms`` is from when on it is dead as far as is known, :data:`~ledger.core.folding.OPEN_END_MS` for never;
    ``is_dead`` whether that is so at the instant.
    """

    grant: str
    account: str
    developer: str
    app: str
    environment: str
    scopes: tuple[str, ...]
    began_at_ms: int
    made_ms: int
    died_ms: int
    is_dead: bool


def find_granted(history: History, grant: str, at_ms: int) -> Granted | None:
    """The grant called ``grant`` at ``at_ms``, dead or not; None where it was never issued."""
    record = history.grants.get(grant)
    return None if record is None else _granted(record, at_ms)


def list_granted(history: History, account: str, at_ms: int) -> list[Granted]:
    """The grants of ``account`` (a tag) that stand at ``at_ms``, by when they began."""
    record = history.accounts.get(account)
    found = [] if record is None else [_granted(grant, at_ms) for grant in record.grants]
    standing = [one for one in found if one is not None and not one.is_dead]
    return sorted(standing, key=lambda one: (one.began_at_ms, one.grant))


def _granted(record: GrantRecord, at_ms: int) -> Granted | None:
    timeline = timeline_of(record)
    if timeline is None:
        return None
    version = timeline.version_at(at_ms) or timeline.versions[0]
    return Granted(
        record.grant,
        record.account.account,
        version.developer,
        record.app,
        record.environment,
        scopes_of_mask(version.scopes),
        timeline.versions[0].from_ms,
        min(
            timeline.versions[0].from_ms, *(one.recorded_at for one in record.events if one.verb == "issued")
        ),
        timeline.died_ms,
        timeline.died_ms <= at_ms,
    )
