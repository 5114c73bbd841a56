"""Subscribing is granting, unsubscribing is revoking (delivery protocol, section 3.1).

A subscription and the grant that it is are one statement of the account: ``grant.issued`` with its evidence and
``subscription.created``, the registry's row and a notice to the account, all durable together or not at all. Whatever
takes something back is durable before it is answered, and the answer waits until no attempt that was permitted before can
start any more.

**Races.** The ids of grant and subscription are made of the webhook, the account and how often it subscribed there, so two
calls at once make the same ids and the log takes one. A subscription looks again once it is durable: if the webhook was
deleted meanwhile, or the token that asked for it was revoked, it ends itself, so that neither a deletion nor a revocation
is overtaken. Dying between the two leaves a subscription at a webhook that receives nothing any more, or one that the
account sees on its page and was told of; both end like any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from ledger.core.canonical import JsonValue
from ledger.core.destinations import parse_url
from ledger.core.scopes import is_known_scope, mask_of
from ledger.core.uids import default_uid
from ledger.gateway.drafts import append_whole, digest_of, find_rejection, live_draft
from ledger.gateway.inflight import InFlight
from ledger.gateway.refusal import GatewayRefusal
from ledger.gateway.revocation import Endings, names_of_app
from ledger.gateway.webhooks import WebhookUnknown
from ledger.gateway.words import scopes_in_words, tell_issued, tell_narrowed
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
    """There is no such live subscription or grant, or it is another account's, which is not told apart."""

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
    """The account revoked the token that asked for the subscription; what was made with it has ended again."""

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


@dataclass(frozen=True, slots=True)
class Access:
    """What one app receives of an account, for the account's own page; ``data`` is what ``scopes`` cover, in words."""

    subscription: str
    grant: str
    app: str
    app_name: str
    developer_name: str
    environment: str
    scopes: tuple[str, ...]
    data: tuple[str, ...]
    granted_at_ms: int
    webhook_host: str


class Subscriptions:
    """Makes, narrows and ends subscriptions. Safe from any thread, and beside other processes that do.

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
        wanted = _check_scopes(scopes)
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
        """End ``subscription`` and revoke its grant; ``by`` is who does it (``role:id``), ``channel`` where (an id).

        Durable when this returns, and no attempt that was permitted before starts any more. What has ended already stays
        so. Raises RejectedError where the log knows no such grant of that account; StoreError or ForkError where nothing
        is known.
        """
        ended = self._endings.end([subscription], actor=by, channel=channel)
        # All of the account's attempts, for another grant may have backed one to this very webhook. Where time runs out
        # none of them can start all the same: permits last for less than this waits.
        self._inflight.wait_until_clear(account=subscription.account)
        if ended.refused:
            raise ended.refused[0].error()

    def narrow(self, grant: str, account: Subject, scopes: Sequence[str]) -> None:
        """Leave ``grant`` of ``account`` no more than ``scopes``, a part of what it covers; the rest ends at once.

        Durable, and in force for attempts permitted before, when this returns; the same scopes again change nothing.
        Raises ScopesRefused, SubscriptionUnknown, RejectedError where the log refuses, StoreError or ForkError where
        nothing is known.
        """
        wanted = _check_scopes(scopes)
        for turn in itertools.count():
            rows = self._registry.load_subscriptions_of_grant(grant)
            if not rows or any(row.account != account.tag for row in rows):
                raise SubscriptionUnknown
            before = rows[0].scopes
            if mask_of(wanted) & ~mask_of(before):
                raise ScopesRefused(
                    "a grant can only be narrowed: the account has to authorize anything more"
                )
            if mask_of(wanted) == mask_of(before):
                break
            # Not created was the very same step of another call, and then the row has it; or an earlier one, and then
            # the grant was widened since and takes the step once more.
            (amended,) = append_whole(self._sequencer, [self._amendment(rows[0], wanted, turn)])
            if amended.created:
                break
        self._inflight.wait_until_clear(grant=grant)

    def revoke_app(self, account: Subject, app: str, *, channel: str) -> int:
        """Take back everything that ``account`` granted to ``app``: its tokens, then each grant; how many grants.

        Durable when this returns, and no attempt that was permitted before starts any more. Raises StoreError or
        ForkError where nothing is known: made again, the call revokes what is left.
        """
        # Tokens first: what is subscribed with one that was live a moment ago is found below, or finds itself revoked.
        # Dying here leaves grants that the account still sees, and an app that can make no new ones.
        self._credentials.revoke_tokens(app, account.tag, self._clock.now_ms())
        rows = self._registry.load_subscriptions_of(account.tag, app)
        ended = self._endings.end(rows, actor=f"account:{account.tag}", channel=channel)
        self._inflight.wait_until_clear(account=account.tag)
        return ended.grants

    def list_access(self, account: Subject) -> Sequence[Access]:
        """What apps receive of ``account`` now, by age."""
        accesses = []
        for row in self._registry.load_subscriptions_of(account.tag):
            app_name, developer_name = names_of_app(self._registry, row.app)
            webhook = self._registry.load_webhook(row.webhook)
            accesses.append(
                Access(
                    subscription=row.subscription,
                    grant=row.grant,
                    app=row.app,
                    app_name=app_name,
                    developer_name=developer_name,
                    environment=row.environment,
                    scopes=row.scopes,
                    data=scopes_in_words(row.scopes),
                    granted_at_ms=row.created_at_ms,
                    webhook_host="" if webhook is None else parse_url(webhook.url).host,
                )
            )
        return accesses

    def _check_open(self, app: App, webhook: Webhook, account: Subject) -> None:
        self._check_webhook(app, webhook)
        if self._registry.load_subscription(webhook.webhook, account.tag) is not None:
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
        if token is None or token.revoked_at_ms is not None:
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

    def _amendment(self, row: Subscription, scopes: tuple[str, ...], turn: int) -> Draft:
        now_ms = self._clock.now_ms()
        names = names_of_app(self._registry, row.app)
        text = tell_narrowed(*names, row.scopes, scopes, now_ms)
        notice = Notice(row.account, now_ms, "grant.amended", text, row.grant)
        changes = (
            self._registry.narrow_subscriptions(row.grant, scopes),
            self._registry.add_notice(notice),
        )
        stated: dict[str, JsonValue] = {
            "grant": row.grant,
            "account": row.account,
            "scopes": list[JsonValue](scopes),
        }
        # Named by the step and not by its time, so that two calls that take it at once take it once.
        uid = f"grant.amended/{row.grant}/{digest_of(*row.scopes, 'to', *scopes, turn)}"
        return live_draft("grant.amended", f"account:{row.account}", stated, uid=uid, changes=changes)


def _check_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    if not scopes:
        raise ScopesRefused("a grant covers at least one scope: to end it, revoke it")
    if not all(is_known_scope(scope) for scope in scopes):
        raise ScopesRefused("a scope is unknown")
    return tuple(sorted(set(scopes)))


def _stated_evidence(evidence: Evidence) -> dict[str, JsonValue]:
    stated: dict[str, JsonValue] = {"method": evidence.method}
    if evidence.consent_text is not None:
        stated["consent_text"] = evidence.consent_text
    return stated
