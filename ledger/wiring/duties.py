"""What is owed because of incidents: notices to people, deletion by developers, put together (sections 5.2 and 5.3)."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from ledger.engines.codec import MsgspecCodec
from ledger.gateway.messages import Messages
from ledger.incidents.attestations import Attestations
from ledger.incidents.contacts import Contacts
from ledger.incidents.contradictions import Contradictions
from ledger.incidents.developer_index import DeveloperIndex
from ledger.incidents.developer_notices import DeveloperNotices
from ledger.incidents.escalation import Escalation
from ledger.incidents.notices import NoticeDesk
from ledger.incidents.obligation_moves import Moves
from ledger.incidents.obligations import ObligationDesk
from ledger.incidents.policies import Policies
from ledger.incidents.sending import NoticeSender
from ledger.ports.mail import MailServer
from ledger.store.incidents import SqlIncidents
from ledger.store.notices import SqlNotices
from ledger.store.obligations import SqlObligations
from ledger.vault.ed25519 import is_signed
from ledger.wiring.development import read_ca

if TYPE_CHECKING:
    from ledger.wiring.service import Service


class Duties:
    """The parts, each built when it is first asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._incidents = SqlIncidents(service.ledger.engine)
        self._notices = SqlNotices(service.ledger.engine)
        self._obligations = SqlObligations(service.ledger.engine)

    @cached_property
    def contacts(self) -> Contacts:
        """Where people can be reached."""
        service = self._service
        return Contacts(
            notices=self._notices,
            keyring=service.vault,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )

    @cached_property
    def notices(self) -> NoticeDesk:
        """Notices to people."""
        service = self._service
        return NoticeDesk(
            sequencer=service.ledger.sequencer,
            store=service.ledger.store,
            notices=self._notices,
            incidents=self._incidents,
            obligations=self._obligations,
            contacts=self.contacts,
            keyring=service.vault,
            registry=service.registry,
            clock=service.clock,
        )

    @cached_property
    def sender(self) -> NoticeSender:
        """What sends them; raises SettingsError where the mail server's settings are unusable."""
        service = self._service
        return NoticeSender(
            sequencer=service.ledger.sequencer,
            store=service.ledger.store,
            notices=self._notices,
            desk=self.notices,
            contacts=self.contacts,
            mail=self._mail_server(),
            webhooks=lambda: service.transport,
            clock=service.clock,
            stopwatch=time.monotonic,
            owner=service.owner,
            reached=service.ledger.reached,
        )

    def _mail_server(self) -> MailServer | None:
        settings = self._service.settings
        if settings.smtp_url is None:
            return None
        # Only a service that sends e-mail needs the standard library's client.
        from ledger.transport.mail import SmtpServer, parse_mail_url

        return SmtpServer(
            parse_mail_url(settings.smtp_url, settings.mail_from),
            self._service.clock,
            trusted_ca_pem=read_ca(settings.trusted_ca_file),
        )

    @cached_property
    def moves(self) -> Moves:
        """What moves obligations."""
        service = self._service
        return Moves(
            sequencer=service.ledger.sequencer,
            obligations=self._obligations,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )

    @cached_property
    def obligations(self) -> ObligationDesk:
        """What developers have to delete."""
        service = self._service
        return ObligationDesk(
            sequencer=service.ledger.sequencer,
            store=service.ledger.store,
            obligations=self._obligations,
            incidents=self._incidents,
            indexes=DeveloperIndex(
                proofs=service.ledger.proofs,
                store=service.ledger.store,
                sequencer=service.ledger.sequencer,
                codec=MsgspecCodec,
            ),
            periods=Policies(service.ledger.sequencer, self._incidents, service.clock),
            moves=self.moves,
            clock=service.clock,
        )

    @cached_property
    def attestations(self) -> Attestations:
        """What developers sign about that."""
        service = self._service
        return Attestations(
            sequencer=service.ledger.sequencer,
            obligations=self._obligations,
            moves=self.moves,
            sealing=service.sealing,
            origin=service.ledger.origin,
            check=is_signed,
            clock=service.clock,
        )

    @cached_property
    def contradictions(self) -> Contradictions:
        """What contradicts it."""
        ledger = self._service.ledger
        return Contradictions(
            sequencer=ledger.sequencer, store=ledger.store, obligations=self._obligations, moves=self.moves
        )

    @cached_property
    def developer_notices(self) -> DeveloperNotices:
        """What tells developers of their obligations."""
        service = self._service

        def messages() -> Messages:
            return Messages(transport=service.transport, signing=service.signing, clock=service.clock)

        return DeveloperNotices(
            desk=self.obligations, registry=service.registry, messages=messages, clock=service.clock
        )

    @cached_property
    def escalation(self) -> Escalation:
        """Deadlines that passed, and steps against whoever is late."""
        service = self._service
        return Escalation(
            sequencer=service.ledger.sequencer,
            store=service.ledger.store,
            obligations=self._obligations,
            incidents=self._incidents,
            moves=self.moves,
            clock=service.clock,
            wait_for_permits=lambda developer: service.inflight.wait_until_clear(developer=developer),
            tell=self.developer_notices.tell,
        )

    def send_once(self) -> None:
        """Send the notices that are due, and tell developers that were not told."""
        self.sender.run_once()
        self.developer_notices.run_once()

    def watch_once(self) -> None:
        """Let go on what no hold holds any more, note deadlines that have passed, and what contradicts attestations."""
        self.obligations.release_held()
        self.escalation.run_once()
        self.contradictions.run_once()
