"""Everybody in a drill: two developers with an app and a webhook each, and an account that nobody has.

All of them are called drills, in ids and names, so that whoever reads a log sees it. Developers and apps have fixed ids and
are there once however many drills there were. The account is a canary of the first developer, committed to before it is
registered, and a new one each time: one that was seen is of no more use. Its id begins with :data:`ACCOUNT_PREFIX`, above any
that a platform gives out, and planting it is refused where the ledger knows it.

What a drill leaves can be taken away: webhooks, grants, keys, and the account. What stands in the log stays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import structlog

from ledger.drill.receiving import DrillReceiver
from ledger.errors import LedgerError, StoreError
from ledger.gateway.canaries import Opened
from ledger.gateway.drafts import live_draft
from ledger.gateway.tokens import Issuing, NewKey
from ledger.ports import Subject
from ledger.ports.canaries import Canary
from ledger.ports.registry import App, Subscription, Webhook
from ledger.receiver.receipts import public_key_of
from ledger.sequencer.draft import expect
from ledger.vault.ed25519 import Ed25519Signer, generate
from ledger.wiring.service import Service

ACTOR = "system:drill"
ENVIRONMENT = "drill"
ACCOUNT_PREFIX = "9000"
_ACCOUNT_DIGITS = 15
_ACCOUNT_BYTES = 8

MEANT, WRONG = "drill-developer-a", "drill-developer-b"
_LETTERS = {MEANT: "A", WRONG: "B"}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Side:
    """A developer of the drill, with its one app and webhook."""

    developer: str
    app: App
    webhook: Webhook
    receiver: DrillReceiver


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody in one drill. ``meant`` may have the data of ``account``, ``wrong`` gets it.

    ``receipt_key`` signs the receipts of ``wrong``, whose API key is ``developer_key``; ``auditor_key`` reports canaries.
    """

    meant: Side
    wrong: Side
    account: Subject
    canary: Canary
    opened: Opened
    subscription: Subscription
    receipt_key: Ed25519Signer
    developer_key: NewKey
    auditor_key: NewKey


def make_cast(service: Service, meant: DrillReceiver, wrong: DrillReceiver, undo: ExitStack) -> Cast:
    """Everybody, with consent, keys and all; what takes it away again is put on ``undo`` as it is made.

    Raises LedgerError where the ledger refuses.
    """
    sides = _make_side(service, MEANT, meant, undo), _make_side(service, WRONG, wrong, undo)
    canary = service.canaries.plant(_draw_account(service), sides[0].app.app, ENVIRONMENT)
    undo.callback(_quietly, lambda: _delete_account(service, canary.account))
    service.canaries.release(canary)
    opened = service.canaries.open(canary)
    subscriptions = service.registry.fetch_subscriptions({canary.account}).get(canary.account, ())
    account = service.vault.find([opened.account_id]).get(opened.account_id)
    if account is None or not subscriptions:
        raise StoreError("the drill's account was released and cannot be found")
    receipt_key = generate(WRONG, service.randomness)
    service.receipts.set_key(WRONG, public_key_of(receipt_key), ACTOR)
    return Cast(
        *sides,
        account,
        canary,
        opened,
        subscriptions[0],
        receipt_key,
        _issue(service, "developer", WRONG, undo),
        _issue(service, "auditor", "", undo),
    )


def _make_side(service: Service, developer: str, receiver: DrillReceiver, undo: ExitStack) -> Side:
    """The developer of this id, its app, and its webhook at ``receiver``, registered after a real challenge."""
    letter = _LETTERS[developer]
    service.parties.create_developer(f"Drill {letter}: no real developer", developer)
    made = service.parties.create_app(
        developer,
        f"Drill {letter}: no real app",
        app=f"drill-app-{letter.lower()}",
        environments=(ENVIRONMENT,),
    )
    receiver.receiver.trust(made.consumer_secret)
    webhook = service.webhooks.register(made.app, ENVIRONMENT, receiver.url, is_repeatable=True)
    undo.callback(_quietly, lambda: service.webhooks.delete(made.app, webhook.webhook))
    return Side(developer, made.app, webhook, receiver)


def _issue(service: Service, role: Literal["developer", "auditor"], subject: str, undo: ExitStack) -> NewKey:
    issuing = Issuing(
        credentials=service.credentials,
        sealing=service.sealing,
        clock=service.clock,
        randomness=service.randomness,
    )
    made = issuing.issue_key(role, subject, "drill")
    undo.callback(_quietly, lambda: service.credentials.revoke_key(made.key.key, service.clock.now_ms()))
    return made


def _delete_account(service: Service, account: str) -> None:
    draft = live_draft("account.deleted", ACTOR, {"account": account}, via="system")
    expect(service.ledger.sequencer.append(draft))


def _quietly(undo: Callable[[], object]) -> None:
    """Undo one thing; what cannot be undone is told, and keeps nothing else from being undone."""
    try:
        undo()
    except LedgerError as error:
        log.warning("drill.not_undone", reason=str(error))


def _draw_account(service: Service) -> str:
    number = int.from_bytes(service.randomness.token(_ACCOUNT_BYTES)) % 10**_ACCOUNT_DIGITS
    return f"{ACCOUNT_PREFIX}{number:0{_ACCOUNT_DIGITS}}"
