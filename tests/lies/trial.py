"""One ledger, those around it, and an operator that is tried: each lie, told at any time, is caught by whom it should be.

Before each lie everybody who watches is content but for what the lies before it have left in the ledger, and after each
they find that and what this lie is to be found by: nothing less, nothing more.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from tests.lies.forced_lies import FORCED_LIES
from tests.lies.kept import Grant
from tests.lies.log_lies import LOG_LIES, NEEDS_TWO_SEALS
from tests.lies.neighbours import make_template
from tests.lies.place import DEVELOPERS, PEOPLE, Place
from tests.lies.place_lies import NEEDS_BACKUP, PLACE_LIES
from tests.lies.telling import Forced, Stage, Told
from tests.lies.told_lies import TOLD_LIES
from tests.lies.watchers import OF_OTHERS, Caught, Watchers

Draw = Callable[[st.SearchStrategy[int]], int]
USES = ("deliver", "confirm", "amend", "revoke")


@cache
def template() -> Path:
    """What every history begins as, made once."""
    return make_template(Path(tempfile.mkdtemp(prefix="lies-")) / "template")


class Trial:
    """``left``: findings by code that the lies so far have left in the ledger; ``judged``: what was told and found out."""

    def __init__(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="lying-"))
        self.place = Place(self.scratch / "place", template())
        self.watchers = Watchers(self.place)
        self.left: Counter[str] = Counter()
        self.judged: list[str] = []

    def begin(self, developer: str) -> None:
        """Somebody grants something, it is used, sealed and copied."""
        self.place.deliver(self.place.grant(PEOPLE[0], developer))
        self.place.grant(PEOPLE[1], DEVELOPERS[0])
        self.seal()

    def close(self) -> None:
        """Let go of everything."""
        self.place.close()
        shutil.rmtree(self.scratch)

    def seal(self) -> None:
        """What there is is sealed, and everybody keeps what is shown."""
        self.place.clock.ms += 2_000
        self.place.seal()
        self.watchers.keep(self.place.shown())

    def live_grants(self) -> list[Grant]:
        """Grants of those who live on after a lie."""
        return [one for one in self.place.kept.grants if one.is_live and one.person in PEOPLE]

    def use(self, grant: Grant, what: str) -> None:
        """Something honest is done under, or to, a grant."""
        self.place.clock.ms += 2_000
        if what == "revoke":
            self.place.revoke(grant)
        elif what == "amend":
            self.place.amend(grant, ["likes", "posts"])
        else:
            body = self.place.deliver(grant)
            if what == "confirm":
                self.place.receipt(body)

    def _left_by_others(self) -> Caught:
        return {(OF_OTHERS[code], code) for code in self.left if code in OF_OTHERS}

    def stage(self, draw: Draw) -> Stage:
        """Everybody has seen what there is, and is content."""
        self.seal()
        stage = Stage(self.place, self.watchers, self.place.shown(), draw)
        assert self.watchers.codes(stage.shown) == self.left, "what the verifier finds before the lie"
        assert self.watchers.followed(stage.shown) == self.left, "what the monitor finds before the lie"
        assert self.watchers.look(stage.shown) == self._left_by_others(), "what anybody finds before the lie"
        return stage

    def can(self, lie: Callable[..., object]) -> bool:
        """Whether there is what the lie takes: an older seal, or an older copy."""
        has_two = len(self.watchers.kept) > 1
        return (has_two or lie not in NEEDS_TWO_SEALS) and (
            self.place.has_older_backup or lie not in NEEDS_BACKUP
        )

    def tell_of_the_log(self, lie: Callable[[Stage], Told], stage: Stage) -> None:
        """A lie about the log, and who catches it."""
        told = lie(stage)
        caught = self.watchers.look(told.shown, told.bundles)
        more = caught - told.caught - told.also - self._left_by_others()
        assert told.caught <= caught, f"{lie.__name__} is not caught by {told.caught - caught}"
        assert not more, f"{lie.__name__} is told to be {more}"

    def force(self, lie: Callable[[Stage], Forced], stage: Stage) -> None:
        """An entry that no honest ledger takes, and what the verifier and the monitor say of it."""
        told = lie(stage)
        for found in (self.watchers.codes(told.shown), self.watchers.followed(told.shown)):
            assert found == self.left + told.found, f"{lie.__name__} is found as {found - self.left}"

    def tell_of_what_happened(
        self, lie: Callable[[Place, Callable[[int], int]], Counter[str]], draw: Draw
    ) -> None:
        """A lie in a ledger that is whole, which stays there."""
        self.place.pass_time(61)
        self.place.close_hours()
        self.stage(draw)
        self.left += lie(self.place, lambda count: draw(st.integers(0, count - 1)))
        self.seal()
        for found in (self.watchers.codes(self.place.shown()), self.watchers.followed(self.place.shown())):
            assert found == self.left, f"{lie.__name__}: {found} where {self.left} is left"

    def tell(self, lie: Callable[..., object], draw: Draw) -> None:
        """Any lie, from the beginning."""
        if lie in TOLD_LIES:
            self.tell_of_what_happened(lie, draw)
        elif lie in LOG_LIES:
            self.tell_of_the_log(lie, self.stage(draw))
        elif lie in FORCED_LIES:
            self.force(lie, self.stage(draw))
        else:
            lie(self.stage(draw))
        self.judged.append(lie.__name__)

    def tell_upon(
        self, first: Callable[[Stage], Forced], second: Callable[[Stage], Told], draw: Draw
    ) -> None:
        """A lie about a log that was lied about before: somebody still finds what the second is found by."""
        stage = self.stage(draw)
        told = second(Stage(self.place, self.watchers, first(stage).shown, draw))
        caught = self.watchers.look(told.shown, told.bundles)
        assert told.caught & caught, f"{second.__name__} upon {first.__name__} is found by nobody"


ALL_LIES: tuple[Callable[..., object], ...] = (*LOG_LIES, *FORCED_LIES, *TOLD_LIES, *PLACE_LIES)
