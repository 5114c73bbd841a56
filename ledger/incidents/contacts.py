"""Where people can be reached (incidents and exports, section 5.2).

The platform knows people's addresses; the ledger knows only those that it was given for notices, and keeps them sealed under
the person's own key: whoever has the database reads none, and erasing a person makes them unreadable for ever. An address
is no part of the log: it is personal data, and changes nothing about anybody's rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ledger.core.mail_addresses import is_mail_address
from ledger.core.standard_webhooks import KEY_BYTES_MIN, format_secret, parse_secret
from ledger.core.webhook_urls import UrlRefusal, check_webhook_url
from ledger.errors import RejectedError, StoreError
from ledger.ports import Clock, Randomness, Subject
from ledger.ports.notices import Contact, Medium, Notices
from ledger.ports.sealing import Sealing
from ledger.ports.vault import Keyring

SECRET_BYTES = 32

assert SECRET_BYTES >= KEY_BYTES_MIN, "a secret of ours is long enough"


class WebhookAddress(msgspec.Struct, frozen=True):
    """A business account's own server, and the secret that what is sent there is signed with."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Reached:
    """Where one person can be reached; what is None, by nothing of that sort.

    ``is_unusable`` where what is kept was altered: nobody knows what it was.
    """

    email: str | None = field(default=None, repr=False)
    webhook: WebhookAddress | None = field(default=None, repr=False)
    is_unusable: bool = False


class Contacts:
    """Keeps and opens addresses. Safe from any thread."""

    def __init__(
        self, *, notices: Notices, keyring: Keyring, sealing: Sealing, clock: Clock, randomness: Randomness
    ) -> None:
        self._notices = notices
        self._keyring = keyring
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness

    @staticmethod
    def check_email(address: str) -> None:
        """Raise RejectedError where mail cannot be sent to ``address``, which the error does not repeat."""
        if not is_mail_address(address):
            raise RejectedError(
                "this is no e-mail address that mail can be sent to: write name@host in ASCII"
            )

    def set_email(self, subject: Subject, address: str) -> None:
        """Reach ``subject`` at ``address`` from now on; raises RejectedError where mail cannot be sent there."""
        self.check_email(address)
        self._put(subject, "email", address.encode())

    def set_webhook(self, subject: Subject, url: str) -> str:
        """Reach the business ``subject`` at ``url`` as well; the secret (``whsec_…``) that signs what is sent there.

        A new one each time; raises RejectedError where nothing may be sent to such a URL.
        """
        refusal = check_webhook_url(url)
        if isinstance(refusal, UrlRefusal):
            raise RejectedError(f"the URL {refusal.reason}")
        secret = format_secret(self._randomness.token(SECRET_BYTES))
        self._put(subject, "webhook", msgspec.json.encode(WebhookAddress(url, secret)))
        return secret

    def forget(self, account: str, medium: Medium) -> bool:
        """Forget how ``account`` (a tag) is reached; False where it was not."""
        return self._notices.forget_contact(account, medium)

    def media_of(self, accounts: Sequence[str]) -> dict[str, list[Medium]]:
        """By what each of ``accounts`` (tags) can be reached, those that can at all; opens nothing."""
        found = self._notices.fetch_contacts(accounts)
        return {account: [one.medium for one in its] for account, its in found.items()}

    def reach(self, accounts: Sequence[str]) -> dict[str, Reached]:
        """Where each of ``accounts`` (tags) can be reached; nobody who was erased is.

        An address that was altered is that person's alone: the others are reached all the same.
        """
        kept = self._notices.fetch_contacts(accounts)
        subjects = self._keyring.subjects_behind(kept)
        reached = {}
        for account, its in kept.items():
            subject = subjects.get(account)
            if subject is None:
                continue
            try:
                opened = {
                    one.medium: self._sealing.open_for(subject, _context(one.account, one.medium), one.sealed)
                    for one in its
                }
            except StoreError:
                reached[account] = Reached(is_unusable=True)
                continue
            email, webhook = opened.get("email"), opened.get("webhook")
            reached[account] = Reached(
                None if email is None else email.decode(),
                None if webhook is None else msgspec.json.decode(webhook, type=WebhookAddress),
            )
        return reached

    def _put(self, subject: Subject, medium: Medium, address: bytes) -> None:
        sealed = self._sealing.seal_for(subject, _context(subject.tag, medium), address)
        self._notices.put_contact(Contact(subject.tag, medium, sealed, self._clock.now_ms()))


def key_of(address: WebhookAddress) -> bytes:
    """The key that what is sent to ``address`` is signed with."""
    return parse_secret(address.secret)


def _context(account: str, medium: Medium) -> str:
    return f"contact/{account}/{medium}"
