"""The delivery service, put together: which adapters its parts get (delivery protocol, section 3.1).

A :class:`Service` is one process's view of it. Its parts are built when they are first asked for, so that a command that
registers a developer opens no connections, and a process that only serves HTTP delivers nothing. What runs by itself
(dispatching, sealing, rescuing) is started by whoever serves.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Self

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
from ledger.gateway.inflight import InFlight
from ledger.gateway.intake import Intake
from ledger.gateway.messages import Messages
from ledger.gateway.parties import Parties
from ledger.gateway.people import People
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
from ledger.store.credentials import SqlCredentials
from ledger.store.outbox import SqlOutbox
from ledger.store.presence import Presence
from ledger.store.registry import SqlRegistry
from ledger.store.signing_keys import SqlSigningKeys
from ledger.transport.egress import Egress
from ledger.transport.tls import client_context
from ledger.transport.tunnel import dial_directly, through
from ledger.transport.webhooks import HttpsWebhooks
from ledger.vault.commitments import SubjectCommitments
from ledger.vault.sealing import VaultSealing
from ledger.vault.subjects import SqlVault
from ledger.wiring.development import load_overrides, read_ca
from ledger.wiring.duties import Duties
from ledger.wiring.exports import make_exports
from ledger.wiring.incidents import IncidentParts
from ledger.wiring.ledger import Ledger, operator_key_of
from ledger.wiring.privacy import Privacy
from ledger.wiring.second_sources import make_canaries, make_egress_counts, make_receipts
from ledger.wiring.surroundings import SYSTEM_CLOCK, SYSTEM_RANDOMNESS


def _tell_nobody(note: AttemptNote) -> None:
    """Nobody asked to be told of attempts."""


class Service:
    """One process of the service on ``ledger``. Use as a context manager, or close it; that closes the ledger, too.

    ``is_alone`` says that no other process sends for this log; with a ``presence`` that is asked whenever it matters, and
    whoever serves keeps it up. ``on_outcome`` is told what became of each attempt made
    here; set it before the dispatcher is asked for.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: ServiceSettings,
        *,
        is_alone: bool = True,
        presence: Presence | None = None,
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.clock: Clock = ledger.clock
        self.randomness: Randomness = ledger.randomness
        self.presence = presence
        self.inflight = InFlight(self.clock, is_alone=is_alone if presence is None else presence.is_alone)
        self.on_outcome: Callable[[AttemptNote], None] = _tell_nobody
        self.something_new = threading.Event()
        """Set when there is something to deliver, so that the dispatcher does not wait for its next look."""
        self.owner = f"{socket.gethostname()}.{os.getpid()}"
        ledger.on_durable = self.inflight.restrict
        ledger.announce = self.inflight.announce

    def __enter__(self) -> Self:
        """Return the service; the end of the block closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the connections to webhooks, then the ledger."""
        if "transport" in self.__dict__:
            self.transport.close()
        self.ledger.close()

    @property
    def vault(self) -> SqlVault:
        """Who is behind a tag."""
        return self.ledger.vault

    @cached_property
    def commitments(self) -> SubjectCommitments:
        """Commitments under the accounts' keys."""
        return SubjectCommitments()

    @cached_property
    def registry(self) -> SqlRegistry:
        """Apps, webhooks, subscriptions."""
        return SqlRegistry(self.ledger.engine)

    @cached_property
    def outbox(self) -> SqlOutbox:
        """Events that wait."""
        return SqlOutbox(self.ledger.engine)

    @cached_property
    def credentials(self) -> SqlCredentials:
        """Keys and tokens of callers."""
        return SqlCredentials(self.ledger.engine)

    @cached_property
    def signing_keys(self) -> SqlSigningKeys:
        """Keys of the Standard Webhooks signatures."""
        return SqlSigningKeys(self.ledger.engine)

    @cached_property
    def sealing(self) -> VaultSealing:
        """Encryption at rest."""
        return VaultSealing(operator_key_of(self.ledger.settings), self.randomness)

    @cached_property
    def people(self) -> People:
        """Subjects of the people that calls name."""
        return People(self.vault, self.commitments)

    @cached_property
    def transport(self) -> HttpsWebhooks:
        """The way out; raises SettingsError when the development settings are unusable."""
        proxy = self.settings.egress_proxy
        return HttpsWebhooks(
            Egress(overrides=load_overrides(self.settings.host_overrides)),
            client_context(read_ca(self.settings.trusted_ca_file)),
            self.clock,
            connections_per_endpoint=self.settings.dispatch_per_webhook,
            dial=dial_directly if proxy is None else through(*proxy),
        )

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
        return make_exports(self)

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
