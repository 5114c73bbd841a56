"""A real SMTP server on this machine, with TLS and with faults on purpose."""

from __future__ import annotations

import ssl
from asyncio import Transport
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ledger.receiver.certificates import CA_FILE, CERTIFICATE_FILE, KEY_FILE, make_certificate
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.support.service_world import free_port

USER, PASSWORD = "ledger", "mail-password-8080"
FROM = "notices@ledger.example"


@dataclass
class Mailbox:
    """What arrived, in order; ``answer`` is said to each message, ``refuse`` to recipients by address.

    ``refuse_sender`` is said to whoever names a sender.
    """

    arrived: list[tuple[str, EmailMessage]] = field(default_factory=list)
    connections: int = 0
    answer: str = "250 OK"
    refuse: dict[str, str] = field(default_factory=dict)
    refuse_sender: str = ""
    is_cutting: bool = False
    """Take the message and go away without an answer."""
    logins: list[bytes] = field(default_factory=list)

    def to(self, address: str) -> list[EmailMessage]:
        return [message for recipient, message in self.arrived if recipient == address]

    async def handle_MAIL(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            for address in envelope.rcpt_tos:
                self.arrived.append((address, message_from_bytes(content, policy=default)))
        if self.is_cutting:
            assert isinstance(server.transport, Transport)
            server.transport.abort()
        return self.answer

    def login(self, server: SMTP, session: Session, envelope: Envelope, how: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login)
        is_right = given == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


class _Counting(Controller):
    def factory(self) -> Any:
        self.handler.connections += 1
        return super().factory()  # type: ignore[no-untyped-call]


class MailWorld:
    """A server on ``port``; ``url`` is its setting. With ``tls`` it offers STARTTLS and wants a login."""

    def __init__(self, directory: Path, *, tls: bool = False) -> None:
        self.mailbox = Mailbox()
        self.port = free_port()
        options: dict[str, Any] = {}
        if tls:
            make_certificate(directory / "mail", ["localhost"], SYSTEM_RANDOMNESS)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(directory / "mail" / CERTIFICATE_FILE, directory / "mail" / KEY_FILE)
            options = {
                "tls_context": context,
                "require_starttls": True,
                "authenticator": self.mailbox.login,
                "auth_required": True,
            }
        self.is_tls = tls
        self.ca_file = directory / "mail" / CA_FILE
        self._options = options
        self._controller: Controller | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        if self.is_tls:
            return f"smtp://{USER}:{PASSWORD}@localhost:{self.port}"
        return f"smtp+insecure://127.0.0.1:{self.port}"

    def start(self) -> None:
        host = "localhost" if self.is_tls else "127.0.0.1"
        self._controller = _Counting(self.mailbox, hostname=host, port=self.port, **self._options)
        self._controller.start()
        # Starting has tried the port out.
        self.mailbox.connections = 0

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None
