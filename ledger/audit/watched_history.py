"""A history that says what was asked of it, and what each new entry may have changed (verdict rules, 2.1 to 2.5).

A judgement is a function of a delivery and of what it looks up in a :class:`~ledger.core.history.History`. Here every
look-up is noted, so that whoever keeps judgements knows exactly on what each rests: a record of a table, by name. And every
entry that is added says which records it changes, and from which instant on what is said about them can differ:

- Folds go by ``at``: an event changes what holds from its ``at`` on, and nothing before.
- ``grant.invalidated`` makes a grant void from its start, so whatever the instant.
- Before an app's first registration or transfer its first developer counts: the event that is the earliest changes what
  holds before it as well.
- An endpoint's event also changes what is found at every destination where it was ever registered.

That an answer of *yes* at an instant is changed only by events that take effect at or before it is what lets millions of
clean attempts stay as they are; it is not used of any other answer, because the reasons of a *no* speak of the future too
(a grant that begins later).
"""

from __future__ import annotations

from typing import Any

from ledger.core.destinations import Destination
from ledger.core.history import History
from ledger.ports.growth import ALWAYS_MS, Dependency


class _Table(dict[Any, Any]):
    """A table of a history that notes the names it is asked for."""

    __slots__ = ("_asked", "_name")

    def __init__(self, name: str, asked: set[Dependency]) -> None:
        super().__init__()
        self._name = name
        self._asked = asked

    def get(self, key: Any, default: Any = None) -> Any:
        self._asked.add((self._name, key))
        return dict.get(self, key, default)

    def __getitem__(self, key: Any) -> Any:
        self._asked.add((self._name, key))
        return dict.__getitem__(self, key)

    def __contains__(self, key: object) -> bool:
        self._asked.add((self._name, str(key)))
        return dict.__contains__(self, key)


class _Destinations(_Table):
    """The table whose names are destinations."""

    __slots__ = ()

    def get(self, key: Destination, default: Any = None) -> Any:
        self._asked.add((self._name, key.key))
        return dict.get(self, key, default)


class WatchedHistory(History):
    """Implements nothing new: a :class:`History` that keeps ``asked``, and what changed since :meth:`forget_changes`.

    ``changed_accounts`` and ``changed_parties`` say from which instant (ms) on; ``changed_grants`` are grants whose events,
    or whose account's deletion, came in.
    """

    __slots__ = ("asked", "changed_accounts", "changed_grants", "changed_parties")

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.asked: set[Dependency] = set()
        self.accounts = _Table("accounts", self.asked)
        self.grants = _Table("grants", self.asked)
        self.developers = _Table("developers", self.asked)
        self.apps = _Table("apps", self.asked)
        self.endpoints = _Table("endpoints", self.asked)
        self.destinations = _Destinations("destinations", self.asked)
        self.pins = _Table("pins", self.asked)
        self.replays = _Table("replays", self.asked)
        self.changed_accounts: dict[str, int] = {}
        self.changed_parties: dict[Dependency, int] = {}
        self.changed_grants: set[str] = set()

    def add(self, entry: Any) -> None:
        """Take ``entry``, which stands in the log after all that were added before; any kind."""
        super().add(entry)
        family, _, verb = entry.kind.partition(".")
        note = _NOTES.get(family)
        if note is not None:
            note(self, entry, verb)

    def forget_changes(self, *, keep_grants: bool = False) -> None:
        """What changed has been seen to; with ``keep_grants`` all but what concerns grants' own entries."""
        self.changed_accounts = {}
        self.changed_parties = {}
        if not keep_grants:
            self.changed_grants = set()

    def _note_account(self, entry: Any, verb: str) -> None:
        if verb == "registered":
            return
        self._account_from(entry.account, entry.at)
        if verb == "deleted":
            self.changed_grants.update(grant.grant for grant in self.account(entry.account).grants)

    def _note_grant(self, entry: Any, verb: str) -> None:
        at_ms = ALWAYS_MS if verb == "invalidated" else entry.at
        self._account_from(entry.account, at_ms)
        record = self.grants.get(entry.grant)
        if record is not None:
            self._account_from(record.account.account, at_ms)
        self.changed_grants.add(entry.grant)

    def _note_developer(self, entry: Any, verb: str) -> None:
        self._party_from("developers", entry.developer, entry.at)

    def _note_app(self, entry: Any, verb: str) -> None:
        at_ms = entry.at
        if verb in ("registered", "transferred"):
            owners = self.apps[entry.app].owners.events
            if at_ms <= min(event.at for event in owners):
                at_ms = ALWAYS_MS
        self._party_from("apps", entry.app, at_ms)

    def _note_endpoint(self, entry: Any, verb: str) -> None:
        self._party_from("endpoints", entry.endpoint, entry.at)
        for event in self.endpoints[entry.endpoint].holdings.events:
            if event.verb == "registered" and event.value.destination is not None:
                self._party_from("destinations", event.value.destination.key, entry.at)
        if verb in ("verified", "failed") and entry.spki_sha256 is not None:
            self._party_from("pins", entry.spki_sha256, entry.at)

    def _note_replay(self, entry: Any, verb: str) -> None:
        self._party_from("replays", entry.replay, ALWAYS_MS)

    def _account_from(self, account: str, at_ms: int) -> None:
        self.changed_accounts[account] = min(at_ms, self.changed_accounts.get(account, at_ms))

    def _party_from(self, table: str, name: str, at_ms: int) -> None:
        known = self.changed_parties.get((table, name), at_ms)
        self.changed_parties[(table, name)] = min(at_ms, known)


_NOTES = {
    "account": WatchedHistory._note_account,
    "grant": WatchedHistory._note_grant,
    "developer": WatchedHistory._note_developer,
    "app": WatchedHistory._note_app,
    "endpoint": WatchedHistory._note_endpoint,
    "processor": WatchedHistory._note_developer,
    "replay": WatchedHistory._note_replay,
}
