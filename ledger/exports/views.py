"""Tables of what a filter selects, for commands and for the web: who looks is recorded first (exports, section 5.5).

A look at the entries of an account or a developer is an entry about it (``access.viewed``), as a look at its history is; a
look at those of an incident is one for the incident. What nobody in particular was asked for, such as the whole log, is
nobody's history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.core.canonical import JsonValue
from ledger.core.export_filter import Filter, keys_of
from ledger.errors import UsageError
from ledger.exports.selecting import Selection
from ledger.gateway.drafts import append_whole, live_draft
from ledger.gateway.histories import VIEWED
from ledger.ports import EntryStore, Randomness
from ledger.ports.index import ProvableIndex
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

_UID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Looks:
    """Makes the entries of looks; ``is_registered`` says whether a tag is anybody's here, since others stand in no entry."""

    randomness: Randomness
    is_registered: Callable[[str], bool]

    def drafts(self, wanted: Filter, actor: str, purpose: str | None) -> list[Draft]:
        """That ``actor`` looks at each account and developer that ``wanted`` asks for, for ``purpose`` (an id)."""
        tags = {*(wanted.accounts or ()), *(pair.split(":", 1)[0] for pair in wanted.pairs or ())}
        looked = [("account", tag) for tag in sorted(tags) if self.is_registered(tag)]
        looked += [("developer", developer) for developer in wanted.developers or ()]
        made = []
        for name, value in looked:
            stated: dict[str, JsonValue] = {name: value}
            if purpose is not None:
                stated["purpose"] = purpose
            made.append(self.draft(actor, stated))
        return made

    def draft(self, actor: str, stated: Mapping[str, JsonValue]) -> Draft:
        """That ``actor`` looks at what is ``stated``."""
        return live_draft(VIEWED, actor, stated, uid=f"{VIEWED}/{self.randomness.token(_UID_BYTES).hex()}")


@dataclass(frozen=True, slots=True)
class Views:
    """Opens selections of all durable entries, sealed or not; ``linked`` are the numbers of an incident's deliveries."""

    sequencer: Sequencer
    store: EntryStore
    index: ProvableIndex
    looks: Looks
    linked: Callable[[str], Iterable[int]]

    def open(self, wanted: Filter, actor: str, purpose: str | None = None) -> Selection:
        """What ``wanted`` selects, once it is durable that ``actor`` looks; raises as the sequencer does."""
        drafts = self.looks.drafts(wanted, actor, purpose)
        if wanted.incident is not None:
            drafts.append(self.looks.draft(actor, {"purpose": wanted.incident}))
        if drafts:
            append_whole(self.sequencer, drafts)
        linked = () if wanted.incident is None else self.linked(wanted.incident)
        size = self.store.size()
        if not keys_of(wanted):
            return Selection(self.store, wanted, size, None, linked)
        try:
            with self.index.snapshot() as snapshot:
                return Selection(self.store, wanted, size, snapshot, linked)
        except UsageError:
            # Nothing was sealed yet: then everything is looked through.
            return Selection(self.store, wanted, size, None, linked)
