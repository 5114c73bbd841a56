"""The index keys of typed entries, as small integers (ledger format, sections 1.4 and 1.7).

``keys_of`` gives for a struct exactly what ``ledger.core.index.index_keys`` gives for its members. Keys are interned per
process; the shard of a key is the top bit of its position in the map, so that two processes can each build one half.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.core.entries import KINDS
from ledger.core.entries.codec import rules_of
from ledger.core.index import key_position

_DEVELOPER_NAMES = ("developer", "previous_developer", "processor")
_PARTIES: dict[str, tuple[bool, bool, tuple[str, ...], bool]] = {}

for _kind, _source in KINDS.items():
    _names = {rule.name for rule in rules_of(_source)}
    _PARTIES[_kind] = (
        "account" in _names,
        "subjects" in _names,
        tuple(name for name in _DEVELOPER_NAMES if name in _names),
        "received_by" in _names,
    )


class KeyInterner:
    """``key -> id`` for one process; bit 0 of an id is the key's shard."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self._ids: dict[str, int] = {}
        self._of_parties: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._fresh: list[tuple[int, str]] = []

    def id_of(self, key: str) -> int:
        """The id of ``key``, new or known."""
        known = self._ids.get(key)
        if known is None:
            known = len(self._ids) << 1 | key_position(key)[0] >> 7
            self._ids[key] = known
            self._fresh.append((known, key))
        return known

    def take_fresh(self) -> list[tuple[int, str]]:
        """``(id, key)`` of those that are new since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def ids_of_keys(self, keys: list[str]) -> list[int]:
        """The ids of keys that the core computed."""
        return [self.id_of(key) for key in keys]

    def ids_of(self, entry: Any) -> list[int]:
        """The ids of the keys of a struct of a known kind, each once, in any order."""
        has_account, has_subjects, developer_names, has_receiver = _PARTIES[entry.kind]
        ids: list[int] = []
        developers: tuple[str | None, ...] = ()
        if developer_names:
            developers = tuple([getattr(entry, name) for name in developer_names])
        if has_receiver and entry.received_by is not None:
            developers = (*developers, entry.received_by.developer)
        account = entry.account if has_account else None
        if account is not None or developers:
            parties = (account, *developers)
            known = self._of_parties.get(parties)
            if known is None:
                known = self._of_parties[parties] = tuple(self._ids_of_parties(account, developers))
            ids.extend(known)
        if has_subjects:
            id_of = self.id_of
            ids += [id_of("subj:" + tag) for tag in entry.subjects]
        return ids

    def _ids_of_parties(self, account: str | None, developers: tuple[str | None, ...]) -> list[int]:
        keys = []
        if account is not None:
            keys.append(f"acct:{account}")
        for developer in sorted({name for name in developers if name is not None}):
            keys.append(f"dev:{developer}")
            if account is not None:
                keys.append(f"pair:{account}:{developer}")
        return self.ids_of_keys(keys)


def members_of(entry: Any) -> Mapping[str, object]:
    """The members of a struct that index keys can come from, for comparison with the core."""
    members: dict[str, object] = {}
    for name in ("account", *_DEVELOPER_NAMES, "subjects"):
        value = getattr(entry, name, None)
        if value is not None:
            members[name] = value
    owner = getattr(entry, "received_by", None)
    if owner is not None:
        members["received_by"] = {"developer": owner.developer}
    return members
