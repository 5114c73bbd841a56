"""Handing mail over to a real SMTP server: TLS, connections used again, and which failures are in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.core.mail_addresses import is_mail_address
from ledger.errors import SettingsError
from ledger.ports.mail import Handed, Mail
from ledger.transport.mail import SmtpConnection, SmtpServer, parse_mail_url
from ledger.wiring.surroundings import SYSTEM_CLOCK
from tests.support.smtp_server import FROM, USER, MailWorld

MAIL = Mail("n-1", "ann@a.example", "About your data", "Zażółć gęślą jaźń\n.\nend\n")


def yes() -> bool:
    return True


def connect(mail: MailWorld, **changed: object) -> SmtpConnection:
    settings = replace(parse_mail_url(mail.url, FROM), **changed)  # type: ignore[arg-type]
    ca = mail.ca_file.read_text() if mail.is_tls else None
    return SmtpServer(settings, SYSTEM_CLOCK, trusted_ca_pem=ca, timeout_s=5.0).connect()


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailWorld]:
    with MailWorld(tmp_path) as made:
        yield made


@pytest.mark.parametrize("text", [MAIL.text, ".begin\n.\n..\nFrom here\n\nend\n"])
def test_a_message_arrives_as_it_was_written(mail: MailWorld, text: str) -> None:
    connection = connect(mail)
    assert connection.send(replace(MAIL, text=text), yes) == Handed("accepted")
    connection.close()
    (message,) = mail.mailbox.to("ann@a.example")
    assert message["Subject"] == "About your data"
    assert message["From"] == FROM
    assert message["Message-ID"] == "<n-1@ledger.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_payload(decode=True) == text.replace("\n", "\r\n").encode()


def test_a_subject_stays_one_line(mail: MailWorld) -> None:
    connection = connect(mail)
    subject = "Größe\r\nBcc: eve@e.example\n\n " + "x" * 200
    assert connection.send(replace(MAIL, subject=subject), yes).outcome == "accepted"
    (message,) = mail.mailbox.to("ann@a.example")
    assert message["Bcc"] is None
    assert str(message["Subject"]).startswith("Größe Bcc: eve@e.example x")
    assert message.get_payload(decode=True) == MAIL.text.replace("\n", "\r\n").encode()


def test_one_connection_carries_many_messages(mail: MailWorld) -> None:
    connection = connect(mail)
    for number in range(20):
        assert connection.send(replace(MAIL, message=f"n-{number}"), yes).outcome == "accepted"
    connection.close()
    assert (len(mail.mailbox.arrived), mail.mailbox.connections) == (20, 1)


def test_starttls_and_login_come_before_anything_else(tmp_path: Path) -> None:
    with MailWorld(tmp_path, tls=True) as mail:
        connection = connect(mail)
        assert connection.send(MAIL, yes).outcome == "accepted"
        connection.close()
        assert mail.mailbox.logins == [USER.encode()]
        assert len(mail.mailbox.arrived) == 1


def test_a_wrong_password_is_unsent(tmp_path: Path) -> None:
    with MailWorld(tmp_path, tls=True) as mail:
        assert connect(mail, password="wrong").send(MAIL, yes) == Handed("unsent", "smtp.login")
        assert mail.mailbox.arrived == []


def test_a_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    with MailWorld(tmp_path, tls=True) as mail:
        server = SmtpServer(parse_mail_url(mail.url, FROM), SYSTEM_CLOCK)
        assert server.connect().send(MAIL, yes) == Handed("unsent", "smtp.unreached")
        assert mail.mailbox.logins == []


def test_a_server_without_starttls_gets_nothing(mail: MailWorld) -> None:
    assert connect(mail, is_starttls=True).send(MAIL, yes) == Handed("unsent", "smtp.unreached")
    assert mail.mailbox.arrived == []


def test_a_connection_that_was_closed_meanwhile_is_opened_again(mail: MailWorld) -> None:
    connection = connect(mail)
    assert connection.send(MAIL, yes).outcome == "accepted"
    mail.stop()
    mail.start()
    assert connection.send(replace(MAIL, message="n-2"), yes).outcome == "accepted"
    assert len(mail.mailbox.arrived) == 2


def test_nobody_there_is_unsent(mail: MailWorld) -> None:
    mail.stop()
    assert connect(mail).send(MAIL, yes) == Handed("unsent", "smtp.unreached")


def test_no_answer_to_the_text_is_unknown(mail: MailWorld) -> None:
    mail.mailbox.is_cutting = True
    assert connect(mail).send(MAIL, yes) == Handed("unknown", "smtp.no_answer")
    assert len(mail.mailbox.arrived) == 1


@pytest.mark.parametrize(("code", "is_final"), [(451, False), (554, True)])
def test_a_refusal_in_words_is_refused(mail: MailWorld, code: int, is_final: bool) -> None:
    mail.mailbox.answer = f"{code} no"
    connection = connect(mail)
    assert connection.send(MAIL, yes) == Handed("refused", f"smtp.{code}", is_final)
    mail.mailbox.answer = "250 OK"
    assert connection.send(MAIL, yes).outcome == "accepted"


def test_a_refused_recipient_harms_nobody_else(mail: MailWorld) -> None:
    mail.mailbox.refuse = {"ann@a.example": "550 who?"}
    connection = connect(mail)
    assert connection.send(MAIL, yes) == Handed("refused", "smtp.550", is_final=True)
    assert connection.send(replace(MAIL, to="bob@a.example"), yes).outcome == "accepted"
    assert [to for to, _ in mail.mailbox.arrived] == ["bob@a.example"]


@pytest.mark.parametrize("said", ["530 5.7.0 Authentication required", "550 not you", "451 later"])
def test_a_server_that_wants_nothing_from_us_has_refused_no_address(mail: MailWorld, said: str) -> None:
    mail.mailbox.refuse_sender = said
    connection = connect(mail)
    assert connection.send(MAIL, yes) == Handed("unsent", f"smtp.sender.{said[:3]}")
    mail.mailbox.refuse_sender = ""
    assert connection.send(MAIL, yes).outcome == "accepted"


def test_a_refusal_by_policy_is_not_for_ever(mail: MailWorld) -> None:
    mail.mailbox.refuse = {"ann@a.example": "554 5.7.1 relaying denied"}
    assert connect(mail).send(MAIL, yes) == Handed("refused", "smtp.554")
    mail.mailbox.refuse, mail.mailbox.answer = {}, "550 5.7.1 sent too much today"
    assert connect(mail).send(MAIL, yes) == Handed("refused", "smtp.550")


def test_what_may_not_leave_any_more_does_not(mail: MailWorld) -> None:
    connection = connect(mail)
    assert connection.send(MAIL, lambda: False) == Handed("unsent", "smtp.too_late")
    assert connection.send(MAIL, yes).outcome == "accepted"
    assert len(mail.mailbox.arrived) == 1


@pytest.mark.parametrize(
    "address", ["a@b\r\nRCPT TO:<c@d>", "a b@c.example", "<a@b.example>", "a@", "@b", "ä@b.example", "a@b@c"]
)
def test_an_address_that_could_say_more_is_none(mail: MailWorld, address: str) -> None:
    assert not is_mail_address(address)
    assert connect(mail).send(replace(MAIL, to=address), yes) == Handed("unsent", "smtp.address", True)
    assert mail.mailbox.connections == 0


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("smtp+insecure://mail.example:25", FROM),
        ("http://mail.example", FROM),
        ("smtps://", FROM),
        ("smtps://mail.example:99999", FROM),
        ("smtps://mail.example", None),
        ("smtps://mail.example", "no address"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_passwords_not_told(
    url: str, sender: str | None
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_mail_url(url.replace("://", "://user:secret-word@", 1), sender)
    assert "secret-word" not in str(caught.value)


def test_settings_are_read_with_their_defaults() -> None:
    made = parse_mail_url("smtps://us%40er:p%3Ass@mail.example", FROM)
    assert (made.host, made.port, made.is_tls, made.user, made.password) == (
        "mail.example",
        465,
        True,
        "us@er",
        "p:ss",
    )
    assert "p:ss" not in repr(made)
