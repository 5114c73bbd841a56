"""Subscribing is granting, unsubscribing is revoking (delivery protocol, section 3.1).

A subscription and the grant that it is are one statement of the account: ``grant.issued`` with its evidence and
``subscription.created``, the registry's row and a notice to the account, all durable together or not at all. Whatever
takes something back is durable before it is answered, and the answer waits until no attempt that was permitted before can
start any more.

**Races.** The ids of grant and subscription are made of the webhook, the account and how often it subscribed there, so two
calls at once make the same ids and the log takes one; it takes none at a webhook that is retired. A subscription looks
again once it is durable: if the webhook was deleted meanwhile, or the token that asked for it was revoked or covers less by
now, it ends itself, so that neither a deletion nor a revocation is overtaken. Dying between the two leaves a subscription at
a webhook that receives nothing any more, or one that the account sees on its page and was told of; both end like any other.

A grant may die without its subscription: it expires, or a record revokes it. Whoever finds such a row ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import structlog

from ledger.core.canonical import JsonValue
from ledger.core.destinations import parse_url
from ledger.core.granted import Granted, find_granted
from ledger.core.history import History
from ledger.core.scopes import is_known_scope, mask_of
from ledger.core.uids import default_uid
from ledger.gateway.drafts import digest_of, find_rejection, live_draft
from ledger.gateway.inflight import InFlight
from ledger.gateway.refusal import GatewayRefusal
from ledger.gateway.revocation import Endings, names_of_app
from ledger.gateway.webhooks import WebhookUnknown
from ledger.gateway.words import tell_issued
from ledger.ports import Clock, Subject
from ledger.ports.commitments import Commitments
from ledger.ports.credentials import Credentials
from ledger.ports.registry import App, Notice, Registry, Subscription, Webhook
from ledger.sequencer.draft import Draft, Rejection
from ledger.sequencer.sequencer import Sequencer

_ROUNDS_MAX = 8
"""How often a subscription is tried anew because others subscribed and unsubscribed the same account at the same time."""

log = structlog.get_logger()


class DuplicateSubscription(GatewayRefusal):
    """The account is subscribed at this webhook already."""

    code: Literal["DuplicateSubscriptionFailed"]

    def __init__(self) -> None:
        super().__init__("Subscription already exists.")
        self.code = "DuplicateSubscriptionFailed"


class SubscriptionLimit(GatewayRefusal):
    """The app has as many subscriptions as it may have."""

    code: Literal["SubscriptionLimitExceeded"]

    def __init__(self) -> None:
        super().__init__("The subscription limit of this app is reached.")
        self.code = "SubscriptionLimitExceeded"


class SubscriptionUnknown(GatewayRefusal):
    """There is no such live subscription, or it is another account's, which is not told apart."""

    code: Literal["SubscriptionNotFound"]

    def __init__(self) -> None:
        super().__init__("There is no such subscription.")
        self.code = "SubscriptionNotFound"


class ScopesRefused(GatewayRefusal):
    """These scopes cannot be granted, or are no narrowing of what was granted."""

    code: Literal["ScopesRefused"]

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.code = "ScopesRefused"


class TokenRevoked(GatewayRefusal):
    """The account revoked or narrowed the token that asked for the subscription; what was made with it has ended again."""

    code: Literal["TokenRevoked"]

    def __init__(self) -> None:
        super().__init__("Invalid or expired token.")
        self.code = "TokenRevoked"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the account authorized a grant.

    ``method`` is an id (``oauth1``), ``request`` the signed request's bytes, of which the log has a commitment only,
    ``consent_text`` the hex SHA-256 of the text that was shown. ``token_hash`` finds the token that the request came with.
    """

    method: str
    request: bytes | None = None
    consent_text: str | None = None
    token_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """Most live subscriptions of one app; calls at the same time may pass it by their number."""

    subscriptions_per_app: int = 100_000


class Subscriptions:
    """Makes and ends subscriptions. Safe from any thread, and beside other processes that do.

    An account's ``account.registered`` is durable before its subject is handed in here: whoever first meets an account
    (:class:`~ledger.gateway.people.People`, ``Parties.create_account``) sees to that.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        commitments: Commitments,
        inflight: InFlight,
        credentials: Credentials,
        clock: Clock,
        limits: SubscriptionLimits | None = None,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._commitments = commitments
        self._inflight = inflight
        self._credentials = credentials
        self._clock = clock
        self._limits = limits or SubscriptionLimits()
        self._endings = Endings(sequencer=sequencer, registry=registry, clock=clock)

    def subscribe(
        self, app: App, webhook: Webhook, account: Subject, scopes: Sequence[str], evidence: Evidence | None
    ) -> Subscription:
        """Let ``webhook`` of ``app`` receive the data of ``scopes`` of ``account``; durable when this returns.

        Two calls that say the same at the same time get the same subscription. Raises DuplicateSubscription,
        SubscriptionLimit, ScopesRefused, WebhookUnknown, TokenRevoked; RejectedError where the log refuses (the account is
        deleted); StoreError or ForkError where nothing is known: the same call made again then makes it, or finds a
        duplicate.
        """
        wanted = check_scopes(scopes)
        for _ in range(_ROUNDS_MAX):
            # Counted before it is looked whether one is live, so that the ids are free only while none is.
            made_before = self._registry.count_grants_made(webhook.webhook, account.tag)
            self._check_open(app, webhook, account)
            subscription = self._name(webhook, account, wanted, made_before)
            drafts = self._drafts(app, webhook, account, subscription, evidence)
            outcomes = self._sequencer.append_many(drafts, all_or_nothing=True)
            rejection = find_rejection(outcomes)
            if rejection is not None:
                if self._registry.count_grants_made(webhook.webhook, account.tag) == made_before:
                    # The log refuses a subscription at a webhook that was deleted since the look before.
                    self._check_webhook(app, webhook)
                    raise rejection.error()
                continue  # somebody was faster with other words: see what stands now
            is_created = not isinstance(outcomes[0], Rejection) and outcomes[0].created
            standing = self._registry.load_subscription(webhook.webhook, account.tag)
            if not is_created and (standing is None or standing.subscription != subscription.subscription):
                continue  # what the same words made at the same time has ended since
            self._check_not_overtaken(app, webhook, subscription, evidence)
            return standing or subscription
        raise DuplicateSubscription

    def unsubscribe(self, subscription: Subscription, *, by: str, channel: str) -> None:
        """End ``subscription``; see :meth:`unsubscribe_all`."""
        self.unsubscribe_all([subscription], by=by, channel=channel)

    def unsubscribe_all(self, subscriptions: Sequence[Subscription], *, by: str, channel: str) -> None:
        """End ``subscriptions`` and revoke their grants; ``by`` is who does it (``role:id``), ``channel`` where (an id).

        Durable when this returns, and no attempt that was permitted before starts any more. What has ended already stays
        so. Raises RejectedError where the log knows no such grant of that account; StoreError or ForkError where nothing
        is known.
        """
        ended = self._endings.end(subscriptions, actor=by, channel=channel)
        # All of the accounts' attempts: one that another system makes may name no subscription, and so rest on another
        # grant. Where time runs out none of them can start all the same: permits last for less than this waits.
        self._inflight.wait_for_all({("account", one.account) for one in subscriptions})
        if ended.refused:
            raise ended.refused[0].error()

    def heed_ended(self, account: str | None = None, *, app: str | None = None) -> None:
        """See to it that what was taken back of ``account`` (a tag), or from ``app``, is heeded in this process as well.

        For a call that finds nothing left to end: it may repeat one whose answer was lost, or that another process answered.
        No attempt that was permitted before starts any more when this returns. Raises StoreError or ForkError.
        """
        self._sequencer.catch_up()
        self._inflight.wait_until_clear(account=account, app=app)

    def find_live(self, webhook: str, account: str) -> Subscription | None:
        """The subscription of the account (a tag) at ``webhook`` under which anything may still be sent.

        That is also one whose end is recorded and yet to come. A row whose grant is dead is ended. Raises StoreError or
        ForkError.
        """
        found = self._registry.load_subscription(webhook, account)
        if found is not None:
            return None if self._end_if_dead(found) else found
        last = self._registry.load_last_subscription(webhook, account)
        if last is None or last.ended_at_ms is None or last.ended_at_ms <= self._clock.now_ms():
            return None
        return None if self._is_dead(last.grant) else last

    def _is_dead(self, grant: str) -> bool:
        """Whether nothing can be sent under ``grant`` any more, by what the log has."""
        granted = self._sequencer.look(partial(_find_granted, grant))
        return granted is None or granted.is_dead

    def _end_if_dead(self, live: Subscription) -> bool:
        """End the row ``live`` where its grant is dead (it expired, or was revoked alone); whether that was so."""
        is_dead = self._is_dead(live.grant)
        if is_dead:
            self._endings.end_dead([live])
        return is_dead

    def _check_open(self, app: App, webhook: Webhook, account: Subject) -> None:
        self._check_webhook(app, webhook)
        live = self._registry.load_subscription(webhook.webhook, account.tag)
        if live is not None and not self._end_if_dead(live):
            raise DuplicateSubscription
        if self._registry.count_subscriptions(app.app)[0] >= self._limits.subscriptions_per_app:
            raise SubscriptionLimit

    def _check_webhook(self, app: App, webhook: Webhook) -> None:
        row = self._registry.load_webhook(webhook.webhook)
        if row is None or row.app != app.app or row.deleted_at_ms is not None:
            raise WebhookUnknown

    def _check_not_overtaken(
        self, app: App, webhook: Webhook, subscription: Subscription, evidence: Evidence | None
    ) -> None:
        """End ``subscription`` again where a deletion or a revocation came before it without seeing it."""
        actor = f"account:{subscription.account}"
        try:
            self._check_webhook(app, webhook)
        except WebhookUnknown:
            self.unsubscribe(subscription, by=actor, channel="webhook_deleted")
            raise
        token_hash = None if evidence is None else evidence.token_hash
        if token_hash is None:
            return
        token = self._credentials.load_token(token_hash)
        is_gone = token is None or token.revoked_at_ms is not None
        if is_gone or (token is not None and mask_of(subscription.scopes) & ~mask_of(token.scopes)):
            self.unsubscribe(subscription, by=actor, channel="token_revoked")
            raise TokenRevoked

    def _name(
        self, webhook: Webhook, account: Subject, scopes: tuple[str, ...], made_before: int
    ) -> Subscription:
        """The subscription that comes after ``made_before`` others of the account at the webhook."""
        named = digest_of(webhook.webhook, account.tag, made_before)
        return Subscription(
            subscription=f"s-{named}",
            webhook=webhook.webhook,
            app=webhook.app,
            environment=webhook.environment,
            account=account.tag,
            grant=f"g-{named}",
            scopes=scopes,
            created_at_ms=self._clock.now_ms(),
        )

    def _drafts(
        self, app: App, webhook: Webhook, account: Subject, made: Subscription, evidence: Evidence | None
    ) -> list[Draft]:
        actor = f"account:{account.tag}"
        stated: dict[str, JsonValue] = {
            "grant": made.grant,
            "account": account.tag,
            "developer": app.developer,
            "app": app.app,
            "environment": webhook.environment,
            "scopes": list[JsonValue](made.scopes),
        }
        commitments: dict[str, JsonValue] = {}
        if evidence is not None:
            stated["evidence"] = _stated_evidence(evidence)
            uid = default_uid("grant.issued", stated)
            if evidence.request is not None:
                commitments["request"] = self._commitments.commit(account, uid, "request", evidence.request)
        host = parse_url(webhook.url).host
        names = names_of_app(self._registry, app.app)
        text = tell_issued(*names, host, made.scopes, made.created_at_ms)
        notice = Notice(account.tag, made.created_at_ms, "grant.issued", text, made.grant)
        subscribed: dict[str, JsonValue] = {
            "subscription": made.subscription,
            "account": account.tag,
            "app": app.app,
            "environment": webhook.environment,
            "endpoint": webhook.webhook,
            "grant": made.grant,
        }
        change = self._registry.put_subscription(made)
        return [
            live_draft(
                "grant.issued",
                actor,
                stated,
                commitments=commitments,
                changes=[self._registry.add_notice(notice)],
            ),
            live_draft("subscription.created", actor, subscribed, changes=[change]),
        ]


def check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """``scopes`` each once, in order; raises ScopesRefused where there is none or one that nobody can grant."""
    if not scopes:
        raise ScopesRefused("a grant covers at least one scope: to end it, revoke it")
    if not all(is_known_scope(scope) for scope in scopes):
        raise ScopesRefused("a scope is unknown")
    return tuple(sorted(set(scopes)))


def _find_granted(grant: str, history: History, now_ms: int) -> Granted | None:
    return find_granted(history, grant, now_ms)


def _stated_evidence(evidence: Evidence) -> dict[str, JsonValue]:
    stated: dict[str, JsonValue] = {"method": evidence.method}
    if evidence.consent_text is not None:
        stated["consent_text"] = evidence.consent_text
    return stated
