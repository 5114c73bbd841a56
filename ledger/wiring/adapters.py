"""Adapters and small shared parts that the services of one process are built on; :mod:`ledger.wiring.service` adds these."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Self

from ledger.gateway.inflight import InFlight
from ledger.gateway.people import People
from ledger.ports import Clock, Randomness
from ledger.ports.outbox import AttemptNote
from ledger.service_settings import ServiceSettings
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
from ledger.wiring.ledger import Ledger, operator_key_of


def _tell_nobody(note: AttemptNote) -> None:
    """Nobody asked to be told of attempts."""


class Adapters:
    """What the services of one process stand on. Use as a context manager, or close it; that closes the ledger, too.

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
