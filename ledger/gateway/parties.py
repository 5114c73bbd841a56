"""Developers, apps and accounts, made by the operator (delivery protocol, section 3.1).

Each is made once: asked for again with the same content it is what is there already, with other content a conflict. The
entry and the registry's row become durable together. Who was faster, of two that make the same id at once, the log says;
the other one reads the row that stands.

An app's consumer secret is drawn here and kept sealed under the operator's key; it is opened where a body or a challenge
is signed, and shown to whoever makes the app.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from ledger.core.strict import is_id, shown
from ledger.errors import ConflictError, RejectedError
from ledger.gateway.drafts import append_whole, live_draft, new_number
from ledger.gateway.people import People
from ledger.ports import Clock, Randomness, Subject
from ledger.ports.registry import App, Developer, Registry
from ledger.ports.sealing import Sealing
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

OPERATOR = "operator:cli"

StandingKind = Literal["developer.suspended", "developer.reinstated", "app.suspended", "app.reinstated"]

CONSUMER_KEY_BYTES = 18
CONSUMER_SECRET_BYTES = 32
_DEVELOPER_BYTES = 8

NAME_CHARACTERS_MAX = 100
TEXT_CHARACTERS_MAX = 1_000
URL_CHARACTERS_MAX = 2_048
ENVIRONMENTS_MAX = 50
CALLBACKS_MAX = 50

RETRY_WAITS_MAX = 20
RETRY_WAIT_MIN_MS = 1_000
RETRY_TOTAL_MAX_MS = 5 * 86_400_000
"""Most waits of a schedule, the shortest of one, and all together: bodies are kept for 5 days."""

OUT_OF_BAND = "oob"
"""The callback of an app without one: the account copies a number (OAuth 1.0a)."""


@dataclass(frozen=True, slots=True)
class NewApp:
    """An app, with the secret that its developer has to be told."""

    app: App
    consumer_secret: str


class Parties:
    """Makes developers, apps and accounts. Safe from any thread, and beside other processes that make some."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        people: People,
        sealing: Sealing,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._people = people
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness

    def create_developer(self, name: str, developer: str | None = None) -> Developer:
        """The developer called ``name``, made where there is none with the id ``developer`` (drawn where left out).

        Raises ConflictError where that id has another name, RejectedError where a value is unusable.
        """
        _check_text(name, "the name of a developer", NAME_CHARACTERS_MAX)
        if developer is None:
            developer = f"dev-{self._randomness.token(_DEVELOPER_BYTES).hex()}"
        _check_id(developer, "a developer's id")
        made = Developer(developer, name, self._clock.now_ms())
        standing = self._registry.load_developer(developer)
        if standing is None:
            change = self._registry.put_developer(made)
            self._append(
                live_draft(
                    "developer.registered", OPERATOR, {"developer": developer}, via="system", changes=[change]
                )
            )
            standing = self._registry.load_developer(developer)
        if standing is None:
            # The log had it before without a row (imported): the same name is all there is to say.
            self._registry.apply([self._registry.put_developer(made)])
            standing = made
        if standing.name != name:
            raise ConflictError(f"the developer {developer} is there with another name")
        return standing

    def create_app(
        self,
        developer: str,
        name: str,
        *,
        app: str | None = None,
        description: str = "",
        website: str = "",
        environments: Sequence[str] = ("prod",),
        callbacks: Sequence[str] = (),
        can_write: bool = True,
        retry_waits_ms: Sequence[int] = (),
        owner_account: str | None = None,
    ) -> NewApp:
        """The app ``name`` of ``developer``, made where there is none with the id ``app`` (drawn where left out).

        ``environments`` are at least one id each, ``callbacks`` URLs (or ``oob``), ``retry_waits_ms`` the waits before
        attempts 2, 3, … (empty: the default schedule). ``owner_account`` is the tag of a registered account that owns it;
        an app without one gets it, and one that is left out changes nothing. Raises ConflictError where that id is there
        with other content, RejectedError where the developer is unknown or a value is unusable.
        """
        _check_text(name, "the name of an app", NAME_CHARACTERS_MAX)
        _check_text(description, "the description of an app", TEXT_CHARACTERS_MAX, may_be_empty=True)
        _check_website(website)
        _check_environments(environments)
        _check_callbacks(callbacks)
        check_retry_waits(retry_waits_ms)
        app = app or new_number(self._clock, self._randomness)
        _check_id(app, "an app's id")
        if self._registry.load_developer(developer) is None:
            raise RejectedError(f"the developer {shown(developer)} is unknown: make it first")
        wanted = App(
            app=app,
            developer=developer,
            name=name,
            description=description,
            website=website,
            consumer_key="",
            secret_sealed=b"",
            environments=tuple(environments),
            callbacks=tuple(callbacks),
            retry_waits_ms=tuple(retry_waits_ms),
            can_write=can_write,
            created_at_ms=self._clock.now_ms(),
            owner_account=owner_account,
        )
        standing = self._registry.load_app(app) or self._make_app(wanted)
        if owner_account is not None and standing.owner_account is None:
            owned = replace(standing, owner_account=owner_account)
            if owned == _with_the_making_of(owned, wanted):
                self._registry.apply([self._registry.put_app(owned)])
                standing = owned
        if standing != _with_the_making_of(standing, wanted):
            raise ConflictError(f"the app {app} is there with other content")
        return NewApp(standing, self.consumer_secret(standing))

    def create_account(self, account_id: str) -> Subject:
        """The subject of the platform's ``account_id``, registered where it was not; durable when this returns.

        Raises RejectedError where the id is unusable or the person behind it was erased.
        """
        _check_id(account_id, "an account's id")
        subjects, registrations = self._people.meet([account_id])
        # Dying here leaves a tag that no entry uses, which is harmless; the same call made again registers it.
        if registrations:
            append_whole(self._sequencer, registrations)
            self._people.note(subjects.values())
        return subjects[account_id]

    def consumer_secret(self, app: App) -> str:
        """The consumer secret of ``app``; StoreError where what is kept of it was altered."""
        return self._sealing.open_secret(_context(app.app), app.secret_sealed)

    def _make_app(self, wanted: App) -> App:
        """The app that stands once this has made ``wanted`` with a key and a secret, or somebody else was faster."""
        secret = self._sealing.seal_secret(_context(wanted.app), self._draw(CONSUMER_SECRET_BYTES))
        made = replace(wanted, consumer_key=self._draw(CONSUMER_KEY_BYTES), secret_sealed=secret)
        change = self._registry.put_app(made)
        stated = {"app": made.app, "developer": made.developer}
        self._append(live_draft("app.registered", OPERATOR, stated, via="system", changes=[change]))
        standing = self._registry.load_app(made.app)
        if standing is None:
            # As for a developer that was imported: the entry was there before, the row was not.
            self._registry.apply([change])
            return made
        return standing

    def _append(self, draft: Draft) -> None:
        append_whole(self._sequencer, [draft])

    def _draw(self, size_bytes: int) -> str:
        return urlsafe_b64encode(self._randomness.token(size_bytes)).rstrip(b"=").decode("ascii")


def standing_draft(kind: StandingKind, name: str, actor: str, uid: str) -> Draft:
    """What suspends or reinstates the developer or app ``name``: from its entry on the gate refuses, or not any more.

    ``actor`` (``role:id``) does it, for the reason that ``uid`` is made of: asked for again it is the same entry. What
    restricts is announced to the permits in flight before it is recorded, as every restriction is.
    """
    return live_draft(kind, actor, {kind.partition(".")[0]: name}, uid=f"{kind}/{name}/{uid}")


def check_retry_waits(waits_ms: Sequence[int]) -> None:
    """Raise RejectedError unless ``waits_ms`` is a schedule of retries: few enough waits, none too short or too long."""
    if len(waits_ms) > RETRY_WAITS_MAX:
        raise RejectedError(f"a retry schedule has at most {RETRY_WAITS_MAX} waits")
    if any(wait_ms < RETRY_WAIT_MIN_MS for wait_ms in waits_ms):
        raise RejectedError(f"a wait of a retry schedule is at least {RETRY_WAIT_MIN_MS} ms")
    if sum(waits_ms) > RETRY_TOTAL_MAX_MS:
        raise RejectedError(f"the waits of a retry schedule are at most {RETRY_TOTAL_MAX_MS} ms together")


def _with_the_making_of(standing: App, wanted: App) -> App:
    """``wanted`` with what only the making of ``standing`` decided."""
    return replace(
        wanted,
        consumer_key=standing.consumer_key,
        secret_sealed=standing.secret_sealed,
        created_at_ms=standing.created_at_ms,
        owner_account=wanted.owner_account or standing.owner_account,
    )


def _context(app: str) -> str:
    return f"app/{app}/consumer-secret"


def _check_id(text: str, what: str) -> None:
    if not is_id(text):
        raise RejectedError(f"{what} is 1 to 64 of A-Z a-z 0-9 . _ -")


def _check_text(text: str, what: str, characters_max: int, *, may_be_empty: bool = False) -> None:
    if not text.strip() and not may_be_empty:
        raise RejectedError(f"{what} is empty")
    if len(text) > characters_max:
        raise RejectedError(f"{what} is longer than {characters_max} characters")
    if not all(character.isprintable() or character == "\n" for character in text):
        raise RejectedError(f"{what} has characters that cannot be shown")


def _check_website(website: str) -> None:
    # It becomes a link on the consent page: nothing but a web page may be behind it.
    if website and (not _is_url(website) or urlsplit(website).scheme not in ("http", "https")):
        raise RejectedError("the website of an app is no http or https URL")


def _check_environments(environments: Sequence[str]) -> None:
    if not 1 <= len(environments) <= ENVIRONMENTS_MAX:
        raise RejectedError(f"an app has 1 to {ENVIRONMENTS_MAX} environments")
    for environment in environments:
        _check_id(environment, "an environment's name")
    if len(set(environments)) != len(environments):
        raise RejectedError("an environment is named twice")


def _check_callbacks(callbacks: Sequence[str]) -> None:
    if len(callbacks) > CALLBACKS_MAX:
        raise RejectedError(f"an app has at most {CALLBACKS_MAX} callbacks")
    for callback in callbacks:
        if callback != OUT_OF_BAND and not _is_url(callback):
            raise RejectedError(f"a callback is an absolute URL without fragment, or {OUT_OF_BAND}")


def _is_url(text: str) -> bool:
    if len(text) > URL_CHARACTERS_MAX or not text.isascii() or any(character <= " " for character in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and not parts.fragment and parts.username is None
