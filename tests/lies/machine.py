"""An honest history that grows by rules, and an operator that lies at any time (:mod:`tests.lies.trial`)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.lies.forced_lies import FORCED_LIES, two_readings
from tests.lies.log_lies import LOG_LIES, NEEDS_TWO_SEALS
from tests.lies.place import DEVELOPERS, PEOPLE
from tests.lies.place_lies import PLACE_LIES
from tests.lies.told_lies import TOLD_LIES
from tests.lies.trial import USES, Trial

EXAMPLES = int(os.environ.get("GRANTLEDGER_LIES", "5"))
STEPS = 14
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    # A history that shows a fault is told as it is: to make it shorter takes minutes, and tells hardly more.
    phases=(Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

REWRITABLE = [lie for lie in FORCED_LIES if lie is not two_readings]
"""Lies upon which another can be told: their entries can be read, and so written anew."""


class Lying(RuleBasedStateMachine):
    """Rules of those who are honest, and of the operator who is not."""

    def __init__(self) -> None:
        super().__init__()
        self.trial = Trial()
        self.place = self.trial.place

    def teardown(self) -> None:
        self.trial.close()

    @initialize(developer=st.sampled_from(DEVELOPERS))
    def begin(self, developer: str) -> None:
        self.trial.begin(developer)

    @rule(person=st.sampled_from(PEOPLE), developer=st.sampled_from(DEVELOPERS))
    def grant(self, person: str, developer: str) -> None:
        self.place.grant(person, developer)

    @precondition(lambda self: self.trial.live_grants())
    @rule(which=st.integers(0, 99), what=st.sampled_from(USES))
    def use_a_grant(self, which: int, what: str) -> None:
        live = self.trial.live_grants()
        self.trial.use(live[which % len(live)], what)

    @rule(minutes=st.integers(1, 70))
    def wait(self, minutes: int) -> None:
        self.place.pass_time(minutes)
        self.place.close_hours()

    @rule(developer=st.sampled_from(DEVELOPERS), is_seen=st.booleans())
    def plant(self, developer: str, is_seen: bool) -> None:
        canary = self.place.plant(self.place.new_name("made-up"), developer)
        if is_seen:
            self.place.see(canary, developer)

    @rule(is_backed_up=st.booleans())
    def seal(self, is_backed_up: bool) -> None:
        self.trial.seal()
        if is_backed_up:
            self.place.back_up()

    @rule(data=st.data())
    def lie_about_the_log(self, data: st.DataObject) -> None:
        stage = self.trial.stage(data.draw)
        for _ in range(2):
            lie = data.draw(st.sampled_from([one for one in LOG_LIES if self.trial.can(one)]))
            self.trial.tell_of_the_log(lie, stage)

    @rule(data=st.data())
    def force_an_entry(self, data: st.DataObject) -> None:
        stage = self.trial.stage(data.draw)
        for _ in range(2):
            self.trial.force(data.draw(st.sampled_from(FORCED_LIES)), stage)

    @rule(data=st.data(), lie=st.sampled_from(TOLD_LIES))
    def lie_about_what_happened(self, data: st.DataObject, lie: object) -> None:
        self.trial.tell_of_what_happened(lie, data.draw)  # type: ignore[arg-type]

    @rule(data=st.data())
    def lie_with_more_than_a_log(self, data: st.DataObject) -> None:
        stage = self.trial.stage(data.draw)
        lie = data.draw(st.sampled_from([one for one in PLACE_LIES if self.trial.can(one)]))
        lie(stage)

    @rule(data=st.data(), first=st.sampled_from(REWRITABLE))
    def lie_upon_a_lie(self, data: st.DataObject, first: object) -> None:
        seconds = [one for one in LOG_LIES if one not in NEEDS_TWO_SEALS]
        self.trial.tell_upon(first, data.draw(st.sampled_from(seconds)), data.draw)  # type: ignore[arg-type]
