"""Plays the steps of a reenactment at a running service, one after the other (delivery protocol, section 3.7).

The order is kept, the dates are not. Events that follow each other are handed in together; everything else waits until they
were taken.

**Whoever changes a subscription waits for its account's deliveries.** Before the subscription of an account ends or changes,
all that was handed in of this account has arrived, or was refused. So it is exact what has to arrive and what must not, and
the receiving logs can be compared with it, delivery by delivery; other accounts' deliveries are under way meanwhile.

An outage ends when everything that was meant to meet it has, and at once where a change would have to wait for it. Where host
names move, the service is stopped in order and started again with the new addresses, which is how a development setup says
where hosts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ledger.reenactment.books import Tell
from ledger.reenactment.receivers import Receivers
from ledger.reenactment.service_arrivals import Arrivals
from ledger.reenactment.service_calls import ServiceCalls
from ledger.reenactment.service_parties import Parties
from ledger.reenactment.service_process import ServiceProcess
from ledger.reenactment.service_schedule import (
    Book,
    HandIn,
    NamesMove,
    OutageBegins,
    OutageEnds,
    Step,
    Subscribe,
    Unsubscribe,
)
from ledger.reenactment.service_weather import Weather
from ledger.reenactment.traffic import Event, Outage
from ledger.reenactment.world import Grant

EVENTS_AT_ONCE = 200
IDLE_S = 90.0
"""Given up on is what nothing was heard of for so long: more than twice the longest wait before another attempt."""

OUTAGE_S = 5.0
"""How long an outage waits for what was meant to meet it."""

_GONE_S = 2.0


class _BrokenOff(Exception):  # noqa: N818 - it is no error: what was lost is what the play finds
    """Something does not arrive, so nobody can say any more what has to come of the rest."""


class ServicePlayer:
    """One play. What it did stands in its counters afterwards."""

    def __init__(
        self,
        parties: Parties,
        process: ServiceProcess,
        receivers: Receivers,
        arrivals: Arrivals,
        weather: Weather,
    ) -> None:
        """Start nothing yet."""
        self._parties = parties
        self._world = parties.world
        self._process = process
        self._receivers = receivers
        self._arrivals = arrivals
        self._weather = weather
        self._book = Book(parties.world)
        self._calls: ServiceCalls | None = None
        self._batch: list[Event] = []
        self._undecided: set[str] = set()
        self._met_before: dict[Outage, int] = {}
        self._refused_before = 0
        self.events = 0
        self.subscriptions = 0
        self.unsubscriptions = 0
        self.outages = 0
        self.starts = 0
        self.refusals_expected = 0
        self.routed_otherwise = 0
        self.is_broken_off = False

    def play(self, steps: Sequence[Step], tell: Tell) -> None:
        """Start the service, register webhooks, go through ``steps``, wait for the last arrival, stop the service.

        Raises StoreError where the service ends or answers otherwise than it should. What has not arrived in the end is for
        the arrivals to tell; where a change would have to wait for it, the play is broken off.
        """
        try:
            self._start(self._world.opened_at_ms)
            self._register()
            try:
                self._go_through(steps, tell)
            except _BrokenOff:
                self.is_broken_off = True
            self._wait_for_refusals()
            self._stop()
        finally:
            if self._calls is not None:
                self._calls.close()

    def _go_through(self, steps: Sequence[Step], tell: Tell) -> None:
        for done, step in enumerate(steps):
            self._act(step)
            tell(done + 1, len(steps))
        self._flush()
        self._weather.clear()
        self._require_arrivals(None)

    def _act(self, step: Step) -> None:
        if isinstance(step, HandIn) and not step.revokes:
            self._batch.append(step.event)
            if len(self._batch) >= EVENTS_AT_ONCE:
                self._flush()
            return
        self._flush()
        if isinstance(step, HandIn):
            self._settle(step.event.account)
            self._hand_in([step.event])
        elif isinstance(step, Subscribe):
            self._subscribe(step)
        elif isinstance(step, Unsubscribe):
            self._unsubscribe(step)
        elif isinstance(step, OutageBegins):
            self._begin(step.outage)
        elif isinstance(step, OutageEnds):
            self._end(step.outage)
        else:
            self._move(step)

    # The service.

    @property
    def _service(self) -> ServiceCalls:
        assert self._calls is not None, "the service was started"
        return self._calls

    def _start(self, at_ms: int) -> None:
        """Start the service with host names where they lead to at ``at_ms`` of the virtual clock."""
        places = []
        for webhook in self._world.webhooks:
            address = self._world.resolve(webhook.host, at_ms)
            port = self._receivers.real_port(address, webhook.port)
            places.append(f"{webhook.host}={f'[{address}]' if ':' in address else address}:{port}")
        self._process.start(",".join(places))
        check = partial(self._process.check, _GONE_S)
        self._calls = ServiceCalls(self._process.base_url, self._parties.api_key, check)
        self.starts += 1

    def _stop(self) -> None:
        self._service.close()
        self._calls = None
        self._process.stop()

    def _move(self, step: NamesMove) -> None:
        self._weather.clear()
        self._require_arrivals(None)
        self._wait_for_refusals()
        self._refused_before = self.refusals_expected
        self._stop()
        self._start(step.at_ms)

    # What happens on the platform.

    def _register(self) -> None:
        """Register every webhook. A webhook's URL has no port; where the servers really listen the overrides say."""
        for webhook in self._world.webhooks:
            keys = self._parties.apps[webhook.app]
            self._service.register_webhook(keys, webhook.environment, f"https://{webhook.host}{webhook.path}")

    def _subscribe(self, step: Subscribe) -> None:
        grant = step.grant
        self._settle(grant.account)
        token = self._parties.tokens[grant.grant, step.version]
        self._service.subscribe(self._parties.apps[grant.app], grant.environment, token)
        self._book.subscribe(grant, step.version)
        self.subscriptions += 1

    def _unsubscribe(self, step: Unsubscribe) -> None:
        grant = step.grant
        if not self._book.is_live(grant):
            return  # The platform's own notice has ended it.
        self._settle(grant.account)
        self._call_off(grant, step)
        self._book.unsubscribe(grant)
        self.unsubscriptions += 1

    def _call_off(self, grant: Grant, step: Unsubscribe) -> None:
        keys = self._parties.apps[grant.app]
        if step.by == "account":
            token = self._parties.tokens[grant.grant, step.version]
            self._service.unsubscribe(keys, grant.environment, token)
        else:
            self._service.unsubscribe_account(keys, grant.environment, grant.account)

    def _flush(self) -> None:
        if self._batch:
            self._hand_in(self._batch)
            self._batch = []

    def _hand_in(self, events: Sequence[Event]) -> None:
        routed = [self._book.route(event) for event in events]
        for event, one in zip(events, routed, strict=True):
            # Expected before it is handed in: it may arrive before the answer does.
            self._arrivals.expect(event, one.arrives)
            self.refusals_expected += one.refused
            if one.refused:
                self._undecided.add(event.account)
        parcels = self._service.hand_in(events)
        self.events += len(events)
        self.routed_otherwise += sum(one.parcels != count for one, count in zip(routed, parcels, strict=True))

    # Outages.

    def _begin(self, outage: Outage) -> None:
        self._weather.begin(outage)
        self.outages += 1
        met = self._weather.met(outage.developer)
        self._met_before[outage] = met - self._arrivals.count_waiting(outage.developer)

    def _end(self, outage: Outage) -> None:
        """End ``outage`` when as much failed as was handed in while it was on."""
        if self._weather.is_on(outage):
            before = self._met_before[outage]
            waits = self._arrivals.count_waiting(outage.developer)

            def has_met() -> bool:
                return self._weather.met(outage.developer) - before >= waits

            self._arrivals.wait(has_met, self._process.check, OUTAGE_S)
        self._weather.end(outage)

    # Waiting.

    def _settle(self, account: str) -> None:
        """Wait until everything of ``account`` has arrived or was refused."""
        self._weather.clear(self._arrivals.waiting(account))
        self._require_arrivals(account)
        if account in self._undecided:
            self._wait_for_refusals()

    def _require_arrivals(self, account: str | None) -> None:
        def is_over() -> bool:
            return not self._arrivals.waiting(account)

        if not self._arrivals.wait(is_over, self._process.check, IDLE_S):
            raise _BrokenOff

    def _wait_for_refusals(self) -> None:
        """Wait until the gate has refused as often as it has to; where it does not, the ledger will show that."""

        def is_decided() -> bool:
            return self._service.count_refusals() >= self.refusals_expected - self._refused_before

        self._arrivals.wait(is_decided, self._process.check, OUTAGE_S * 4)
        self._undecided.clear()
