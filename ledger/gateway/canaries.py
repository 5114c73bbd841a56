"""Canaries: planted, released, fed, and seen (ledger format, section 1.5).

::

    plant    the tag is drawn, and a commitment to it stands in the log: nothing says which account it is
    release  the account is registered and lets one app have its data, like any other account
    feed     an event of the account with the marker in its text, delivered like any other
    see      the marker, or the account's data, turned up somewhere: the commitment is opened

What is planted long before it is released cannot be told by the order of entries; so plant many, and release them one by
one. A canary that was seen is known to its developer, who finds the opening among its own entries, and is of no more use.

A marker's link that somebody follows says that it was read, and not by whom: the developer that it was for may follow it
itself. It is counted, as a lead, and makes no entry until somebody reports it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog

from ledger.core.canaries import MARKER_BYTES, SALT_BYTES, commit_canary
from ledger.core.canonical import JsonValue
from ledger.errors import LedgerError, RejectedError, UsageError
from ledger.gateway.drafts import live_draft
from ledger.gateway.intake import Intake
from ledger.gateway.offered import Accepted, OfferedEvent
from ledger.gateway.parties import Parties
from ledger.gateway.receipts import Confirmed
from ledger.gateway.subscriptions import DuplicateSubscription, Evidence, Subscriptions
from ledger.ports import Clock, Randomness, Vault
from ledger.ports.canaries import Canaries, Canary
from ledger.ports.commitments import Commitments
from ledger.ports.registry import Registry
from ledger.ports.sealing import Sealing
from ledger.sequencer.draft import Appended, expect
from ledger.sequencer.sequencer import Sequencer

CANARY_ID_BYTES = 8
OPERATOR = "operator:canaries"
EVIDENCE_CHARACTERS_MAX = 4_096

SeenIn = Literal["report", "receipt", "fetch"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """What only the operator knows of a canary."""

    account_id: str
    marker: str
    salt: str
    environment: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a canary turned up: at ``seen_by``, None where nobody knows; ``evidence`` is what was handed in about it."""

    seen_in: SeenIn
    seen_by: str | None = None
    evidence: str | None = None


class CanaryKeeper:
    """Plants canaries and records where they turn up. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        canaries: Canaries,
        vault: Vault,
        parties: Parties,
        registry: Registry,
        subscriptions: Subscriptions,
        intake: Intake,
        commitments: Commitments,
        sealing: Sealing,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._sequencer = sequencer
        self._canaries = canaries
        self._vault = vault
        self._parties = parties
        self._registry = registry
        self._subscriptions = subscriptions
        self._intake = intake
        self._commitments = commitments
        self._sealing = sealing
        self._clock = clock
        self._randomness = randomness

    def plant(self, account_id: str, app: str, environment: str | None = None) -> Canary:
        """Commit to the made-up account ``account_id`` as a canary of ``app``'s developer; durable when this returns.

        The account must be new to the ledger. Raises UsageError where it is not, or the app or environment is unknown.
        """
        found = self._registry.load_app(app)
        if found is None:
            raise UsageError(f"there is no app {app!r}; see `grantledger app list`")
        environment = environment or found.environments[0]
        if environment not in found.environments:
            raise UsageError(f"the app {app} has no environment {environment!r}")
        if self._vault.find([account_id]):
            raise UsageError("the account is known already: a canary's account is one that nobody has used")
        subject = self._vault.subjects_of([account_id])[account_id]
        salt, marker = self._randomness.token(SALT_BYTES), self._randomness.token(MARKER_BYTES)
        name = f"c-{self._randomness.token(CANARY_ID_BYTES).hex()}"
        opened = {
            "account_id": account_id,
            "marker": marker.hex(),
            "salt": salt.hex(),
            "environment": environment,
        }
        canary = Canary(
            canary=name,
            account=subject.tag,
            developer=found.developer,
            app=app,
            marker_hash=_hash_of(marker.hex()),
            sealed=self._sealing.seal_secret(_context(name), json.dumps(opened)),
            created_at_ms=self._clock.now_ms(),
        )
        commitment = commit_canary(
            salt, account=subject.tag, canary=name, developer=found.developer, marker=marker.hex()
        )
        draft = live_draft(
            "canary.planted",
            OPERATOR,
            {"canary": name, "commitment": commitment},
            changes=[self._canaries.put(canary)],
        )
        expect(self._sequencer.append(draft))
        return canary

    def release(self, canary: Canary, scopes: Sequence[str] = ("all",)) -> None:
        """Register the canary's account and let its app, at the app's webhook, have its data; may be called again.

        Raises UsageError where the app has no webhook in the environment, RejectedError where the ledger refuses.
        """
        opened = self.open(canary)
        app = self._registry.load_app(canary.app)
        webhooks = self._registry.load_webhooks(canary.app, opened.environment)
        if app is None or not webhooks:
            raise UsageError(
                f"the app {canary.app} has no webhook in {opened.environment} that data could go to"
            )
        account = self._parties.create_account(opened.account_id)
        # What the log holds of a consent is a commitment; this one has to look like any other.
        evidence = Evidence("oauth1", self._randomness.token(MARKER_BYTES))
        try:
            self._subscriptions.subscribe(app, webhooks[0], account, scopes, evidence)
        except DuplicateSubscription:
            log.info("canaries.released_before", canary=canary.canary)
        self._canaries.note_release(canary.canary, self._clock.now_ms())

    def feed(self, canary: Canary, base_url: str) -> str:
        """Hand in an event of the canary's account with its marker in the text; the marker's link.

        Raises UsageError where the event is not taken.
        """
        opened = self.open(canary)
        link = f"{base_url}/c/{opened.marker}"
        (taken,) = self._intake.accept([OfferedEvent(_post(opened.account_id, link, self._clock.now_ms()))])
        if not isinstance(taken, Accepted):
            raise UsageError(f"the canary's event was not taken: {taken.reason}")
        return link

    def open(self, canary: Canary) -> Opened:
        """What only the operator knows of ``canary``; StoreError where it was altered."""
        return Opened(**json.loads(self._sealing.open_secret(_context(canary.canary), canary.sealed)))

    def find(self, named: str) -> Canary | None:
        """The canary of this id, or that whose marker is ``named``, alone or in a link."""
        return self._canaries.load(named) or self._canaries.load_by_marker(_hash_of(named.rpartition("/")[2]))

    def load_all(self) -> Sequence[Canary]:
        """All canaries, by age."""
        return self._canaries.load_all()

    def see(self, canary: Canary, sighting: Sighting, actor: str) -> Appended:
        """Record that ``canary`` turned up; the same sighting again is the entry that is there.

        Raises RejectedError where the ledger refuses: its commitment does not open.
        """
        if sighting.evidence is not None and len(sighting.evidence) > EVIDENCE_CHARACTERS_MAX:
            raise RejectedError(f"evidence has at most {EVIDENCE_CHARACTERS_MAX} characters")
        opened = self.open(canary)
        stated: dict[str, JsonValue] = {
            "canary": canary.canary,
            "account": canary.account,
            "developer": canary.developer,
            "marker": opened.marker,
            "salt": opened.salt,
            "seen_in": sighting.seen_in,
        }
        if sighting.seen_by is not None:
            stated["seen_by"] = sighting.seen_by
        uid = _uid_of(stated)
        # A tag is registered before its first use, and one that was only committed to is not yet.
        subject = self._parties.create_account(opened.account_id)
        if sighting.evidence is not None:
            stated["evidence_given"] = self._commitments.commit(
                subject, uid, "evidence_given", sighting.evidence.encode()
            )
        draft = live_draft("canary.seen", actor, stated, uid=uid)
        draft = replace(draft, compare_exclude=draft.compare_exclude | {"evidence_given"})
        return expect(self._sequencer.append(draft))

    def fetched(self, marker: str) -> bool:
        """Count that the link of ``marker`` was followed; False where it is no marker."""
        return self._canaries.note_fetch(_hash_of(marker), self._clock.now_ms())

    def confirmed(self, receipts: Sequence[Confirmed]) -> None:
        """Record canaries among what other developers than theirs confirm; their receipts are durable already."""
        try:
            planted = {canary.account: canary for canary in self._canaries.load_all()}
            for receipt in receipts:
                canary = planted.get(receipt.account or "")
                if canary is not None and canary.developer != receipt.developer:
                    self.see(canary, Sighting("receipt", receipt.developer), "system:receipts")
        except LedgerError as error:
            # The receipts stand, and are alarms by themselves; the developer's call is none the worse.
            log.error("canaries.not_recorded", reason=str(error))


def _uid_of(stated: dict[str, JsonValue]) -> str:
    """One for each place that a canary turned up at: evidence is no part of it, a plain hash of it could be guessed from."""
    told = json.dumps([stated["seen_in"], stated.get("seen_by")]).encode()
    return f"canary.seen/{stated['canary']}/{hashlib.sha256(told).hexdigest()[:32]}"


def _hash_of(marker: str) -> bytes:
    return hashlib.sha256(marker.encode()).digest()


def _context(canary: str) -> str:
    return f"canary/{canary}"


def _post(account_id: str, link: str, now_ms: int) -> dict[str, Any]:
    """A public post of the account, as short as one may be."""
    number = str(now_ms)
    return {
        "for_user_id": account_id,
        "tweet_create_events": [
            {
                "id_str": number,
                "text": link,
                "user": {"id_str": account_id, "protected": False},
                "entities": {"hashtags": [], "urls": [], "user_mentions": []},
                "timestamp_ms": number,
            }
        ],
    }
