"""What a lie is here: what the operator shows, and who has to catch it with which code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.lies.place import PEOPLE, Place
from tests.lies.shown import Shown
from tests.lies.watchers import Caught, Watchers


@dataclass(frozen=True)
class Told:
    """A lie about the log that was told: ``caught`` is who finds what, nothing less; ``also`` may be found besides.

    ``bundles`` are what the operator hands to accounts, where they are not what its index gives.
    """

    shown: Shown
    caught: Caught
    also: Caught = field(default_factory=set)
    bundles: dict[str, bytes] | None = None


@dataclass(frozen=True)
class Forced:
    """An entry that no honest ledger would have taken: what the verifier and the monitor find in it, and nothing else."""

    shown: Shown
    found: Counter[str]


@dataclass(frozen=True)
class Stage:
    """Where a lie is told: ``shown`` is what everybody has accepted, ``draw`` makes the operator's choices."""

    place: Place
    watchers: Watchers
    shown: Shown
    draw: Callable[[st.SearchStrategy[int]], int]

    def choose(self, count: int) -> int:
        """One of the first ``count`` numbers."""
        return self.draw(st.integers(0, count - 1))

    def breaks(self, first: int, *, is_grown: bool) -> Caught:
        """What those hold against it who have something in hand, where each entry from ``first`` on became another one.

        An account that compares two bundles of one size sees two roots; where the log has grown, too, it sees other entries.
        """
        end = len(self.shown.entries)
        place, caught = self.place, Caught()
        promised = [int(text.rpartition(":")[0].rpartition("/")[2]) for _, text in place.kept.tickets]
        if any(first <= seq < end for seq in promised):
            caught.add(("account", "ticket broken"))
        bodies = [body for body in place.kept.bodies if first <= body.permit.seq < end]
        if bodies:
            caught.add(("developer", "ticket broken"))
        if any(body.delivery in place.kept.receipted for body in bodies):
            caught.add(("developer", "RECEIPT_WITHOUT_DELIVERY"))
        tags = {place.tag(person) for person in PEOPLE}
        about = [one.get("account") in tags for one in self.shown.members()]
        if not is_grown:
            caught.add(("account", "CHECKPOINT_INCONSISTENT"))
        elif any(about[first:]):
            caught.add(("account", "HISTORY_CHANGED"))
        return caught

    def forked(self, kind: str = "fork") -> Caught:
        """What everybody finds who kept something of the one history and is shown another one that is signed."""
        return {
            ("auditor", "CHECKPOINT_INCONSISTENT"),
            ("customer", "CHECKPOINT_SIGNATURE_INVALID"),
            ("monitor", "CHECKPOINT_INCONSISTENT"),
            ("w1", kind),
            ("w2", kind),
        }
