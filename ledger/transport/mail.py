"""E-mail over SMTP with TLS (RFC 5321, 3207, 8314): implements :class:`ledger.ports.mail.MailServer` with ``smtplib``.

::

    smtps://user:password@mail.example:465      TLS from the first byte
    smtp://user:password@mail.example:587       TLS by STARTTLS, and nothing without it
    smtp+insecure://127.0.0.1:25                no TLS: this machine only

Connections are used again for the next message. A server that closed one meanwhile is noticed before any message is named,
and then it is opened once more. Of a message's text, DATA is the point of no return: a failure before it is ``unsent``, a
refusal in words is ``refused``, and whatever else happens after it is ``unknown``.

What the server holds against us (a login, our sender, a policy: 5.7 of RFC 3463) is no fault of an address: it is never
final. No error's text leaves this module: servers repeat addresses in it.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from base64 import encodebytes
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from ledger.core.mail_addresses import is_mail_address
from ledger.errors import SettingsError
from ledger.ports.mail import Handed, Mail
from ledger.ports.surroundings import Clock
from ledger.transport.tls import client_context

TIMEOUT_S = 30.0
LINE_BYTES_MAX = 900
_PORTS = {"smtps": 465, "smtp": 587, "smtp+insecure": 25}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SETTING = "GRANTLEDGER_SMTP_URL"

_BY_POLICY = b"5.7."
_NETWORK = (smtplib.SMTPException, OSError)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mail is handed over, and whom it is from."""

    host: str
    port: int
    is_tls: bool
    is_starttls: bool
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_mail_url(url: str, sender: str | None) -> MailSettings:
    """The settings that ``url`` and ``sender`` (an address) say; raises SettingsError, which repeats no password."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1 or parts.path not in ("", "/"):
        raise SettingsError(
            f"{_SETTING} is not smtps://USER:PASSWORD@HOST:PORT, or smtp:// for a server with STARTTLS"
        )
    if parts.scheme == "smtp+insecure" and parts.hostname not in _LOOPBACK:
        raise SettingsError(f"{_SETTING}: mail leaves this machine by smtps:// or smtp:// alone, over TLS")
    if sender is None or not is_mail_address(sender):
        raise SettingsError("GRANTLEDGER_MAIL_FROM is not the address that notices come from")
    return MailSettings(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        is_tls=parts.scheme == "smtps",
        is_starttls=parts.scheme == "smtp",
        sender=sender,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


class SmtpServer:
    """A :class:`~ledger.ports.mail.MailServer`; ``trusted_ca_pem`` are certificates to trust instead of the system's."""

    def __init__(
        self,
        settings: MailSettings,
        clock: Clock,
        *,
        trusted_ca_pem: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Connects to nothing yet."""
        self._settings = settings
        self._clock = clock
        self._timeout_s = timeout_s
        self._context: ssl.SSLContext | None = None
        if settings.is_tls or settings.is_starttls:
            self._context = client_context(trusted_ca_pem)

    def connect(self) -> SmtpConnection:
        """A connection for one thread, opened when it is first needed."""
        return SmtpConnection(self._open, self._settings.sender, self._clock)

    def _open(self) -> smtplib.SMTP:
        settings = self._settings
        made: smtplib.SMTP
        if settings.is_tls:
            made = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=self._timeout_s, context=self._context
            )
        else:
            made = smtplib.SMTP(settings.host, settings.port, timeout=self._timeout_s)
        try:
            if settings.is_starttls:
                # Raises where the server offers none: nothing is said in clear.
                made.starttls(context=self._context)
            made.ehlo_or_helo_if_needed()
            if settings.user is not None:
                made.login(settings.user, settings.password or "")
        except BaseException:
            made.close()
            raise
        if made.sock is not None:
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class SmtpConnection:
    """One connection at a time to a mail server; not for several threads."""

    def __init__(self, open_one: Callable[[], smtplib.SMTP], sender: str, clock: Clock) -> None:
        self._open = open_one
        self._sender = sender
        self._domain = sender.rpartition("@")[2]
        self._clock = clock
        self._smtp: smtplib.SMTP | None = None

    def send(self, mail: Mail, may_send: Callable[[], bool]) -> Handed:
        """Hand ``mail`` over; see :class:`~ledger.ports.mail.MailConnection`."""
        if not is_mail_address(mail.to):
            return Handed("unsent", "smtp.address", is_final=True)
        text = self._compose(mail)
        refused = self._name(mail)
        if refused is not None:
            return refused
        if not may_send():
            self._reset()
            return Handed("unsent", "smtp.too_late")
        return self._hand_over(text)

    def close(self) -> None:
        """Say goodbye."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            try:
                smtp.quit()
            except _NETWORK:
                smtp.close()

    def _name(self, mail: Mail) -> Handed | None:
        """Tell the server whom the message is from and for; what came of it where it does not go on."""
        was_open = self._smtp is not None
        while True:
            try:
                if self._smtp is None:
                    self._smtp = self._open()
                code, said = self._smtp.mail(self._sender)
                if code != 250:
                    self._reset()
                    # About us, and so about every message there is: whoever gave one up for it would give up all.
                    return Handed("unsent", f"smtp.sender.{code}")
                code, said = self._smtp.rcpt(mail.to)
                if code in (250, 251):
                    return None
            except smtplib.SMTPAuthenticationError:
                self._drop()
                return Handed("unsent", "smtp.login")
            except _NETWORK:
                self._drop()
                if was_open:
                    # It was closed while nobody used it; nothing has left on it.
                    was_open = False
                    continue
                return Handed("unsent", "smtp.unreached")
            self._reset()
            return _refusal(code, said)

    def _hand_over(self, text: bytes) -> Handed:
        assert self._smtp is not None, "it was opened to name the message"
        try:
            code, said = self._smtp.data(text)
        except smtplib.SMTPDataError as error:
            # The server would not have the text: it was never sent.
            self._reset()
            return _refusal(error.smtp_code, error.smtp_error)
        except _NETWORK:
            self._drop()
            return Handed("unknown", "smtp.no_answer")
        return Handed("accepted") if code == 250 else _refusal(code, said)

    def _compose(self, mail: Mail) -> bytes:
        when = format_datetime(datetime.fromtimestamp(self._clock.now_ms() // 1_000, UTC))
        encoding, body = _encode_text(mail.text)
        # Written out: each is ASCII on one line by now, and the library would parse and fold each anew.
        headers = (
            f"From: {self._sender}",
            f"To: {mail.to}",
            f"Subject: {_encode_subject(mail.subject)}",
            f"Date: {when}",
            # The same each time, so that mail systems that look for doubles find them.
            f"Message-ID: <{mail.message}@{self._domain}>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            'Content-Type: text/plain; charset="utf-8"',
            f"Content-Transfer-Encoding: {encoding}",
        )
        return "\r\n".join(headers).encode("ascii") + b"\r\n\r\n" + body

    def _reset(self) -> None:
        try:
            if self._smtp is not None:
                self._smtp.rset()
        except _NETWORK:
            self._drop()

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()


def _refusal(code: int, said: bytes | str) -> Handed:
    """A refusal in words: final where the server will never take it, unless it is by policy, which somebody can mend."""
    text = said.encode(errors="replace") if isinstance(said, str) else said
    return Handed("refused", f"smtp.{code}", is_final=500 <= code < 600 and not text.startswith(_BY_POLICY))


@lru_cache(maxsize=64)
def _encode_subject(subject: str) -> str:
    """``subject`` on one line, whatever it holds, in the encoding of RFC 2047 where it needs one."""
    return Header(" ".join(subject.split()), header_name="Subject").encode(linesep="\r\n")


def _encode_text(text: str) -> tuple[str, bytes]:
    """The body that says ``text``, and its encoding (RFC 2045): as it is where every server takes that."""
    data = text.replace("\n", "\r\n").encode()
    if text.isascii() and all(len(line) <= LINE_BYTES_MAX for line in text.split("\n")):
        return "7bit", data
    return "base64", encodebytes(data).replace(b"\n", b"\r\n")
