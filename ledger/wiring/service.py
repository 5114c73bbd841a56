"""The delivery service, put together: which adapters its parts get (delivery protocol, section 3.1).

A :class:`Service` is one process's view of it. Its parts are built when they are first asked for, so that a command that
registers a developer opens no connections, and a process that only serves HTTP delivers nothing. What runs by itself
(dispatching, sealing, rescuing) is started by whoever serves.
"""

from __future__ import annotations

from functools import cached_property

from ledger.engines.codec import MsgspecCodec
from ledger.exports.desk import ExportDesk
from ledger.gateway.accesses import Accesses
from ledger.gateway.authorize import Authorizer
from ledger.gateway.canaries import CanaryKeeper
from ledger.gateway.challenges import Challenges
from ledger.gateway.dispatch import Dispatcher, DispatchLimits
from ledger.gateway.egress_counts import EgressCounts
from ledger.gateway.endpoint_owners import EndpointOwners
from ledger.gateway.grant_notices import GrantNotices
from ledger.gateway.grant_tickets import GrantTickets
from ledger.gateway.intake import Intake
from ledger.gateway.messages import Messages
from ledger.gateway.parties import Parties
from ledger.gateway.receipts import Receipts
from ledger.gateway.replay import Replays
from ledger.gateway.reports import Reports
from ledger.gateway.rescue import Rescuer
from ledger.gateway.signing import Signing
from ledger.gateway.subscriptions import SubscriptionLimits, Subscriptions
from ledger.gateway.ticketing import Tickets
from ledger.gateway.webhooks import WebhookLimits, Webhooks
from ledger.ports import Clock, Randomness
from ledger.ports.outbox import AttemptNote
from ledger.service_settings import ServiceSettings
from ledger.settings import Settings
from ledger.store.presence import Presence
from ledger.wiring.adapters import Adapters
from ledger.wiring.duties import Duties
from ledger.wiring.exports import make_exports
from ledger.wiring.incidents import IncidentParts
from ledger.wiring.privacy import Privacy
from ledger.wiring.second_sources import make_canaries, make_egress_counts, make_receipts
from ledger.wiring.surroundings import SYSTEM_CLOCK, SYSTEM_RANDOMNESS


class Service(Adapters):
    """One process of the service on a ledger: every part that it may need, built when it is first asked for."""

    @cached_property
    def parties(self) -> Parties:
        """Developers, apps and accounts."""
        return Parties(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            people=self.people,
            sealing=self.sealing,
            clock=self.clock,
            randomness=self.randomness,
        )

    @cached_property
    def challenges(self) -> Challenges:
        """Challenges of webhooks."""
        return Challenges(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            parties=self.parties,
            transport=self.transport,
            clock=self.clock,
            randomness=self.randomness,
        )

    @cached_property
    def webhooks(self) -> Webhooks:
        """Registration and deletion of webhooks."""
        return Webhooks(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            challenges=self.challenges,
            inflight=self.inflight,
            clock=self.clock,
            randomness=self.randomness,
            limits=WebhookLimits(self.settings.premium_webhooks_max, self.settings.webhooks_max),
        )

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """Subscriptions, which are grants."""
        return Subscriptions(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            commitments=self.commitments,
            inflight=self.inflight,
            credentials=self.credentials,
            clock=self.clock,
            limits=SubscriptionLimits(self.settings.subscriptions_max),
        )

    @cached_property
    def accesses(self) -> Accesses:
        """What accounts have granted, to be shown, narrowed and revoked."""
        return Accesses(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            credentials=self.credentials,
            inflight=self.inflight,
            clock=self.clock,
        )

    @cached_property
    def notices(self) -> GrantNotices:
        """What accounts are told of changes that records make."""
        return GrantNotices(sequencer=self.ledger.sequencer, registry=self.registry, clock=self.clock)

    @cached_property
    def tickets(self) -> Tickets:
        """Tickets, signed by the log's key."""
        return Tickets(self.ledger.origin, self.ledger.signer, [self.ledger.verifier])

    @cached_property
    def grant_tickets(self) -> GrantTickets:
        """Tickets for accounts, of what they granted and revoked."""
        return GrantTickets(sequencer=self.ledger.sequencer, store=self.ledger.store, tickets=self.tickets)

    @cached_property
    def intake(self) -> Intake:
        """Events from the platform."""
        return Intake(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            outbox=self.outbox,
            people=self.people,
            vault=self.vault,
            commitments=self.commitments,
            sealing=self.sealing,
            accesses=self.accesses,
            clock=self.clock,
            wake=self.something_new,
        )

    @cached_property
    def authorizer(self) -> Authorizer:
        """Decisions for systems that deliver by themselves."""
        return Authorizer(
            sequencer=self.ledger.sequencer,
            people=self.people,
            commitments=self.commitments,
            owners=EndpointOwners(self.ledger.store, MsgspecCodec()),
            tickets=self.tickets,
            inflight=self.inflight,
            codec=MsgspecCodec(),
            clock=self.clock,
        )

    @cached_property
    def reports(self) -> Reports:
        """Records of what happened elsewhere."""
        return Reports(
            sequencer=self.ledger.sequencer,
            store=self.ledger.store,
            people=self.people,
            commitments=self.commitments,
            tickets=self.tickets,
            notices=self.notices,
            inflight=self.inflight,
        )

    @cached_property
    def receipts(self) -> Receipts:
        """Receipts of developers."""
        return make_receipts(self)

    @cached_property
    def egress_counts(self) -> EgressCounts:
        """Counts of egress proxies."""
        return make_egress_counts(self)

    @cached_property
    def canaries(self) -> CanaryKeeper:
        """Made-up accounts, and where they turn up."""
        return make_canaries(self)

    @cached_property
    def incidents(self) -> IncidentParts:
        """Incidents, their clocks and the policies."""
        return IncidentParts(self)

    @cached_property
    def privacy(self) -> Privacy:
        """Erasure, legal holds, retention."""
        return Privacy(self)

    @cached_property
    def duties(self) -> Duties:
        """Notices to people, and obligations of developers."""
        return Duties(self)

    @cached_property
    def exports(self) -> ExportDesk:
        """Exports for regulators."""
        return make_exports(self, self.incidents.export_files)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """What delivers."""
        return Dispatcher(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            outbox=self.outbox,
            transport=self.transport,
            messenger=self.transport,
            inflight=self.inflight,
            vault=self.vault,
            commitments=self.commitments,
            sealing=self.sealing,
            signing_keys=self.signing_keys,
            signer=self.ledger.signer,
            origin=self.ledger.origin,
            clock=self.clock,
            randomness=self.randomness,
            owner=self.owner,
            limits=DispatchLimits(
                threads=self.settings.dispatch_threads, per_webhook=self.settings.dispatch_per_webhook
            ),
            on_outcome=self.tell_outcome,
            wake=self.something_new,
            reached=self.ledger.reached,
        )

    @property
    def signing(self) -> Signing:
        """Headers that only this service can make."""
        return self.dispatcher.signing

    @cached_property
    def rescuer(self) -> Rescuer:
        """What settles attempts whose process died."""
        return Rescuer(
            sequencer=self.ledger.sequencer,
            store=self.ledger.store,
            outbox=self.outbox,
            registry=self.registry,
            clock=self.clock,
            is_in_hand=self.dispatcher.is_in_hand,
            on_outcome=self.tell_outcome,
        )

    @cached_property
    def replays(self) -> Replays:
        """Replay jobs and resending."""
        return Replays(
            sequencer=self.ledger.sequencer,
            registry=self.registry,
            outbox=self.outbox,
            challenges=self.challenges,
            messages=Messages(transport=self.transport, signing=self.dispatcher.signing, clock=self.clock),
            clock=self.clock,
            randomness=self.randomness,
            on_parcels=self.something_new.set,
        )

    def tell_outcome(self, note: AttemptNote) -> None:
        """Tell whoever asked what became of an attempt."""
        self.on_outcome(note)


def open_service(
    settings: Settings,
    service_settings: ServiceSettings,
    *,
    is_alone: bool = True,
    presence: Presence | None = None,
    clock: Clock = SYSTEM_CLOCK,
    randomness: Randomness = SYSTEM_RANDOMNESS,
) -> Service:
    """The service on the ledger at ``settings``; raises as :func:`ledger.wiring.open_ledger`."""
    from ledger.wiring.ledger import open_ledger

    return Service(
        open_ledger(settings, clock=clock, randomness=randomness),
        service_settings,
        is_alone=is_alone,
        presence=presence,
    )
