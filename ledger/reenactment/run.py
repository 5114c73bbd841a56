"""Plays a world's traffic through a dispatcher over real HTTPS and writes down what happened, and what is true.

A virtual clock runs from event to event; each attempt is one real request to the receiving servers. What
comes out is the input records that the platform would have exported (ledger format, section 1.6), in the
order in which they happened, and beside them, for every attempt, the ground truth: the developer whose TLS
key ended the connection that carried it, read from the receiving logs. Nothing of real time, real ports or
the order of threads is in either, so equal arguments give equal runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.reenactment.casting import IPV6_LOOPBACK, cast
from ledger.reenactment.clock import OutageTable, VirtualClock
from ledger.reenactment.dispatcher import Dispatcher, Fault, fault_named
from ledger.reenactment.player import Player, Progress, Record
from ledger.reenactment.receivers import Receivers, is_bindable
from ledger.reenactment.scale import SCALES
from ledger.reenactment.subscriptions import Gate, SubscriptionTable
from ledger.reenactment.traffic import Traffic, plan_traffic
from ledger.reenactment.truth import AttemptTruth, ChallengeResult, join_truth
from ledger.reenactment.world import World


@dataclass(frozen=True, slots=True)
class TrafficRun:
    """Everything that a reenactment's traffic left behind; records and attempts are in order of time."""

    world: World
    traffic: Traffic
    fault: Fault
    records: tuple[Record, ...]
    attempts: tuple[AttemptTruth, ...]
    challenges: tuple[ChallengeResult, ...]
    dead_letters: tuple[str, ...]
    https_requests: int = 0

    @property
    def misdelivered(self) -> tuple[AttemptTruth, ...]:
        """The attempts that another developer than the intended one received, by ground truth."""
        return tuple(attempt for attempt in self.attempts if attempt.is_misdelivered)

    @property
    def active_accounts(self) -> frozenset[str]:
        """The accounts of which anything was sent."""
        return frozenset(attempt.account for attempt in self.attempts)


def reenact_traffic(seed: int, scale: str, fault: str, progress: Progress | None = None) -> TrafficRun:
    """Cast the world of ``seed`` at ``scale``, plan its traffic and run it with the named fault."""
    size = SCALES[scale]
    company = cast(seed, size, has_ipv6=is_bindable(IPV6_LOOPBACK))
    return run_traffic(
        company.world, plan_traffic(company, seed, size), fault_named(fault), seed=seed, progress=progress
    )


def run_traffic(
    world: World,
    traffic: Traffic,
    fault: Fault,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    gate: Gate | None = None,
    clock: VirtualClock | None = None,
) -> TrafficRun:
    """Run ``traffic`` among ``world`` through the dispatcher that ``fault`` describes.

    ``seed`` draws the virtual latencies and the challenge tokens. ``gate`` is told every record and asked before
    every attempt; without one the platform's own table of subscriptions is. ``clock`` stands at the world's opening
    and is moved by the run.
    """
    clock = clock or VirtualClock(world.opened_at_ms)
    outages = OutageTable(traffic.outages, clock)
    with Receivers(world, clock.now_ms, outages.behaviour) as receivers:
        dispatcher = Dispatcher(world, receivers, fault, clock.now_ms)
        try:
            player = Player(world, traffic, dispatcher, clock, seed, gate or SubscriptionTable())
            player.play(progress)
        finally:
            dispatcher.close()
        attempts = join_truth(player.attempts, receivers.logs())
    return TrafficRun(
        world,
        traffic,
        fault,
        tuple(player.records),
        attempts,
        tuple(player.challenges),
        tuple(player.dead_letters),
        dispatcher.requests,
    )
