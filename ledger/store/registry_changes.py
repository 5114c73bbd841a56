"""The changes of the registry: statements that become durable with an entry (delivery protocol, sections 3.1 to 3.4).

None of them can fail for what others did: an insert that comes second and an update of what has gone change nothing. What
has ended stays ended, whoever writes an older state of it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ledger.core.scopes import mask_of, scope_of
from ledger.ports import Change
from ledger.ports.registry import App, Challenge, Developer, Notice, Subscription, Webhook
from ledger.store.service_tables import (
    AppRow,
    ChallengeRow,
    DeveloperRow,
    NoticeRow,
    SubscriptionRow,
    WebhookRow,
)
from ledger.store.statements import ChangeStatement, encode_numbers, encode_texts

_MESSAGES = scope_of("direct_message_events")
assert _MESSAGES is not None, "direct messages have a scope"
_MESSAGES_MASK = mask_of((_MESSAGES,))

PUT_DEVELOPER = ChangeStatement(
    DeveloperRow,
    "INSERT INTO service_developers (developer, name, created_at_ms) VALUES (:developer, :name, :created_at_ms) "
    "ON CONFLICT (developer) DO UPDATE SET name = excluded.name",
)
# The condition, because a key that is taken must not fail: it cannot come to pass, keys being 256 random bits.
PUT_APP = ChangeStatement(
    AppRow,
    "INSERT INTO service_apps (app, developer, name, description, website, consumer_key, secret_sealed, environments, "
    "callbacks, retry_waits_ms, can_write, created_at_ms, owner_account) "
    "SELECT :app, :developer, :name, :description, :website, :consumer_key, :secret_sealed, :environments, "
    ":callbacks, :retry_waits_ms, :can_write, :created_at_ms, :owner_account "
    "WHERE NOT EXISTS (SELECT 1 FROM service_apps "
    "WHERE consumer_key = CAST(:consumer_key AS VARCHAR) AND app <> CAST(:app AS VARCHAR)) "
    "ON CONFLICT (app) DO UPDATE SET developer = excluded.developer, name = excluded.name, "
    "description = excluded.description, website = excluded.website, secret_sealed = excluded.secret_sealed, "
    "environments = excluded.environments, callbacks = excluded.callbacks, "
    "retry_waits_ms = excluded.retry_waits_ms, can_write = excluded.can_write, "
    "owner_account = excluded.owner_account",
)
PUT_WEBHOOK = ChangeStatement(
    WebhookRow,
    "INSERT INTO service_webhooks (webhook, app, environment, url, is_valid, created_at_ms, validated_at_ms, "
    "failing_since_ms, next_check_at_ms, reason, deleted_at_ms) "
    "VALUES (:webhook, :app, :environment, :url, :is_valid, :created_at_ms, :validated_at_ms, "
    ":failing_since_ms, :next_check_at_ms, :reason, :deleted_at_ms) "
    "ON CONFLICT (webhook) DO UPDATE SET is_valid = excluded.is_valid, validated_at_ms = excluded.validated_at_ms, "
    "failing_since_ms = excluded.failing_since_ms, next_check_at_ms = excluded.next_check_at_ms, "
    "reason = excluded.reason, "
    # A challenge that was under way while the webhook was deleted does not bring it back.
    "deleted_at_ms = COALESCE(service_webhooks.deleted_at_ms, excluded.deleted_at_ms)",
)
PUT_SUBSCRIPTION = ChangeStatement(
    SubscriptionRow,
    "INSERT INTO service_subscriptions (subscription, webhook, app, environment, account, grant_id, scopes, "
    "covers_messages, created_at_ms, ended_at_ms) "
    "VALUES (:subscription, :webhook, :app, :environment, :account, :grant_id, :scopes, "
    ":covers_messages, :created_at_ms, :ended_at_ms) ON CONFLICT DO NOTHING",
)
NARROW_SUBSCRIPTIONS = ChangeStatement(
    SubscriptionRow,
    "UPDATE service_subscriptions SET scopes = :scopes, covers_messages = :covers_messages "
    "WHERE grant_id = :grant_id AND ended_at_ms IS NULL",
)
END_SUBSCRIPTION = ChangeStatement(
    SubscriptionRow,
    "UPDATE service_subscriptions SET ended_at_ms = :ended_at_ms "
    "WHERE subscription = :subscription AND ended_at_ms IS NULL",
)
END_SUBSCRIPTIONS_OF_WEBHOOK = ChangeStatement(
    SubscriptionRow,
    "UPDATE service_subscriptions SET ended_at_ms = :ended_at_ms WHERE webhook = :webhook AND ended_at_ms IS NULL",
)
ADD_CHALLENGE = ChangeStatement(
    ChallengeRow,
    "INSERT INTO service_challenges (webhook, at_ms, cause, is_passed, status, latency_ms, reason) "
    "VALUES (:webhook, :at_ms, :cause, :is_passed, :status, :latency_ms, :reason) ON CONFLICT DO NOTHING",
)
ADD_NOTICE = ChangeStatement(
    NoticeRow,
    "INSERT INTO service_notices (mark, account, at_ms, kind, text, grant_id) "
    "VALUES (:mark, :account, :at_ms, :kind, :text, :grant_id) ON CONFLICT (mark) DO NOTHING",
)


class RegistryChanges:
    """The writes of :class:`~ledger.ports.registry.Registry`.

    Each raises RejectedError where no table can keep a value (see :mod:`ledger.store.statements`).
    """

    def put_developer(self, developer: Developer) -> Change:
        """Add the developer, or change its name."""
        return PUT_DEVELOPER.change(
            developer=developer.developer, name=developer.name, created_at_ms=developer.created_at_ms
        )

    def put_app(self, app: App) -> Change:
        """Add the app, or change what may change (all but id, consumer key and creation)."""
        return PUT_APP.change(
            app=app.app,
            developer=app.developer,
            name=app.name,
            description=app.description,
            website=app.website,
            consumer_key=app.consumer_key,
            secret_sealed=app.secret_sealed,
            environments=encode_texts(app.environments),
            callbacks=encode_texts(app.callbacks),
            retry_waits_ms=encode_numbers(app.retry_waits_ms),
            can_write=app.can_write,
            created_at_ms=app.created_at_ms,
            owner_account=app.owner_account,
        )

    def put_webhook(self, webhook: Webhook) -> Change:
        """Add the webhook, or change its validity, schedule, reason and end; a deleted one stays deleted."""
        return PUT_WEBHOOK.change(
            webhook=webhook.webhook,
            app=webhook.app,
            environment=webhook.environment,
            url=webhook.url,
            is_valid=webhook.is_valid,
            created_at_ms=webhook.created_at_ms,
            validated_at_ms=webhook.validated_at_ms,
            failing_since_ms=webhook.failing_since_ms,
            next_check_at_ms=webhook.next_check_at_ms,
            reason=webhook.reason,
            deleted_at_ms=webhook.deleted_at_ms,
        )

    def put_subscription(self, subscription: Subscription) -> Change:
        """Add a live subscription; changes nothing where the account has one at the webhook."""
        return PUT_SUBSCRIPTION.change(
            subscription=subscription.subscription,
            webhook=subscription.webhook,
            app=subscription.app,
            environment=subscription.environment,
            account=subscription.account,
            grant_id=subscription.grant,
            scopes=encode_texts(subscription.scopes),
            covers_messages=_covers_messages(subscription.scopes),
            created_at_ms=subscription.created_at_ms,
            ended_at_ms=subscription.ended_at_ms,
        )

    def narrow_subscriptions(self, grant: str, scopes: Sequence[str]) -> Change:
        """Give the live subscriptions that rest on ``grant`` other scopes."""
        return NARROW_SUBSCRIPTIONS.change(
            grant_id=grant, scopes=encode_texts(scopes), covers_messages=_covers_messages(scopes)
        )

    def end_subscription(self, subscription: str, at_ms: int) -> Change:
        """End one; one that has ended keeps its end."""
        return END_SUBSCRIPTION.change(subscription=subscription, ended_at_ms=at_ms)

    def end_subscriptions_of_webhook(self, webhook: str, at_ms: int) -> Change:
        """End all at one webhook; those that have ended keep their end."""
        return END_SUBSCRIPTIONS_OF_WEBHOOK.change(webhook=webhook, ended_at_ms=at_ms)

    def add_challenge(self, challenge: Challenge) -> Change:
        """Keep what came of a challenge, once for a webhook, a time and a trigger."""
        return ADD_CHALLENGE.change(
            webhook=challenge.webhook,
            at_ms=challenge.at_ms,
            cause=challenge.trigger,
            is_passed=challenge.is_passed,
            status=challenge.status,
            latency_ms=challenge.latency_ms,
            reason=challenge.reason,
        )

    def add_notice(self, notice: Notice) -> Change:
        """Tell an account something, once; its number is given by the table."""
        return ADD_NOTICE.change(
            mark=_mark_of(notice),
            account=notice.account,
            at_ms=notice.at_ms,
            kind=notice.kind,
            text=notice.text,
            grant_id=notice.grant,
        )


def _covers_messages(scopes: Sequence[str]) -> bool:
    return bool(mask_of(scopes) & _MESSAGES_MASK)


def _mark_of(notice: Notice) -> bytes:
    """What the same notice has again and no other: a hash of what lies beside it in clear."""
    said = (notice.account, str(notice.at_ms), notice.kind, notice.grant or "", notice.text)
    return sha256(encode_texts(said).encode("utf-8", "surrogatepass")).digest()
