"""Webhooks: registered after a challenge, asked again on demand, deleted with all that rests on them (delivery
protocol, sections 3.1 to 3.4).

Registration, in this order: the URL's rule, the limits, no second webhook of one URL in an environment, a challenge; then
``endpoint.registered`` and ``endpoint.verified`` with the registry's row, as one. Nothing is recorded before the challenge
is passed.

**Limits hold when several register at once.** The ``uid`` of a registration names the app's live webhooks that it was
decided on (and how often that very set was registered on before, for webhooks are deleted, too). Whoever decided on the
same set makes the same ``uid``; the log takes one of them, and the others find it taken, look again and decide anew. No
lock is held while a stranger's server is asked. (Only when a webhook is deleted in the very moment between look and
append can another registration use that room as well.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ledger.core.destinations import Destination, parse_url
from ledger.core.webhook_urls import UrlRefusal, check_webhook_url
from ledger.gateway.challenges import Challenges, Probe, check_draft
from ledger.gateway.drafts import digest_of, find_rejection, live_draft, new_number
from ledger.gateway.inflight import InFlight
from ledger.gateway.refusal import GatewayRefusal
from ledger.gateway.revocation import ENDED_AT_ONCE, Endings
from ledger.gateway.validity import VALIDATED_FOR_MS
from ledger.ports import Clock, Randomness
from ledger.ports.registry import App, Challenge, Registry, Webhook
from ledger.sequencer.draft import Draft
from ledger.sequencer.sequencer import Sequencer

Product = Literal["premium", "enterprise"]
"""Whose calls: those that name an environment, or those of enterprise and v2."""

WebhookReason = Literal[
    "CrcValidationFailed",
    "UrlValidationFailed",
    "DuplicateUrlFailed",
    "WebhookLimitExceeded",
    "WebhookIdInvalid",
]
"""Why a webhook is refused, in the names of section 3.3."""

URL_REFUSED = "Webhook URL does not meet the requirements."
TOO_MANY = "Too many resources already created."
UNKNOWN = "Webhook does not exist or is associated with a different twitter application."

CHANNEL_DELETED = "webhook_deleted"
"""The channel of the revocations that come of deleting a webhook."""

_CLAIMS_MAX = 10_000


class WebhookRefused(GatewayRefusal):
    """The webhook is not registered; ``reason`` is the text of section 3.2."""

    code: WebhookReason

    def __init__(self, code: WebhookReason, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WebhookUnknown(GatewayRefusal):
    """There is no such webhook, or it is another app's, which is not told apart."""

    code: WebhookReason

    def __init__(self) -> None:
        super().__init__(UNKNOWN)
        self.code = "WebhookIdInvalid"


class EnvironmentUnknown(GatewayRefusal):
    """The app has no such environment (names are case-sensitive)."""

    code: Literal["EnvironmentUnknown"]

    def __init__(self) -> None:
        super().__init__("The environment does not exist for this app.")
        self.code = "EnvironmentUnknown"


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """Most webhooks of one environment in premium calls, and of an app in those of enterprise and v2."""

    premium_per_environment: int = 1
    enterprise_per_app: int = 5


class Webhooks:
    """Registers, revalidates and deletes webhooks. Safe from any thread, and beside other processes that do."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        challenges: Challenges,
        inflight: InFlight,
        clock: Clock,
        randomness: Randomness,
        limits: WebhookLimits | None = None,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._challenges = challenges
        self._inflight = inflight
        self._clock = clock
        self._randomness = randomness
        self._limits = limits or WebhookLimits()
        self._endings = Endings(sequencer=sequencer, registry=registry, clock=clock)

    def register(
        self,
        app: App,
        environment: str,
        url: str,
        *,
        product: Product = "premium",
        is_repeatable: bool = False,
    ) -> Webhook:
        """Register ``url`` for ``environment`` of ``app``; durable, and ready to receive, when this returns.

        With ``is_repeatable`` a URL that is registered there already is no error: its webhook comes back, and nothing is
        asked or recorded. Raises WebhookRefused, EnvironmentUnknown; RejectedError where the log refuses; StoreError or
        ForkError where nothing is known: the same call made again then finds the webhook, or makes it.
        """
        destination = check_webhook_url(url)
        if isinstance(destination, UrlRefusal):
            raise WebhookRefused("UrlValidationFailed", URL_REFUSED)
        if environment not in app.environments:
            raise EnvironmentUnknown
        live = self._registry.load_webhooks(app.app)
        standing = _find_same(live, environment, destination)
        if standing is not None and is_repeatable:
            return standing
        self._check_room(live, environment, destination, product)
        webhook_id = new_number(self._clock, self._randomness)
        probe = self._challenges.probe(app, webhook_id, url, "registration")
        if not probe.challenge.is_passed:
            # Nobody knows the id yet, so there is nothing to keep the result under; the caller is told the reason.
            code: WebhookReason = "UrlValidationFailed" if probe.is_refused_egress else "CrcValidationFailed"
            raise WebhookRefused(code, probe.challenge.reason or URL_REFUSED)
        at_ms = probe.challenge.at_ms
        webhook = Webhook(
            webhook=webhook_id,
            app=app.app,
            environment=environment,
            url=url,
            is_valid=True,
            created_at_ms=self._clock.now_ms(),
            validated_at_ms=at_ms,
            failing_since_ms=None,
            next_check_at_ms=at_ms + VALIDATED_FOR_MS,
            reason=None,
        )
        return self._enter(app, webhook, probe, product, is_repeatable)

    def revalidate(self, app: App, webhook: str) -> Challenge:
        """Ask ``webhook`` of ``app`` now; what came of it, kept, and in force when this returns. Raises WebhookUnknown."""
        row = self._find(app, webhook)
        if row.deleted_at_ms is not None:
            raise WebhookUnknown
        return self._challenges.ask(app, row.webhook, row.url, "request")

    def delete(self, app: App, webhook: str) -> None:
        """Delete ``webhook`` of ``app``: its subscriptions and their grants end, each account is told, it is retired.

        When this returns no attempt at it starts any more. Raises WebhookUnknown. All of it is one transaction up to some
        hundred subscriptions; of more, the webhook's end is in the last. Dying in between leaves a webhook with fewer
        subscriptions, and deleting it again ends the rest.
        """
        row = self._find(app, webhook)
        actor = f"developer:{app.developer}"
        if row.deleted_at_ms is not None:
            # Nothing is left of it but what a subscription that was made in the very moment of its end may have left.
            self._end_subscriptions(webhook, actor, ())
            # The call may repeat one that another process answered, or whose answer was lost.
            self._sequencer.catch_up()
            self._inflight.wait_until_clear(endpoint=webhook)
            raise WebhookUnknown
        change = self._registry.put_webhook(replace(row, deleted_at_ms=self._clock.now_ms()))
        retired = live_draft("endpoint.retired", actor, {"endpoint": webhook}, changes=[change])
        self._end_subscriptions(webhook, actor, [retired])
        if self._find(app, webhook).deleted_at_ms is None:
            # The log had its end before (somebody handed in a record of it): the row follows.
            self._registry.apply([change])
        # Whoever subscribed while the others were ended; later ones find the webhook gone, and end themselves.
        self._end_subscriptions(webhook, actor, ())
        # Where time runs out nothing can start all the same: permits last for less than this waits.
        self._inflight.wait_until_clear(endpoint=webhook)
        self._challenges.forget(webhook)

    def _enter(
        self, app: App, webhook: Webhook, probe: Probe, product: Product, is_repeatable: bool
    ) -> Webhook:
        """Record a webhook that proved itself, unless others that were registered meanwhile leave no room for it."""
        destination = parse_url(webhook.url)
        stated = {
            "endpoint": webhook.webhook,
            "app": app.app,
            "environment": webhook.environment,
            "url": webhook.url,
        }
        changes = (self._registry.put_webhook(webhook), self._registry.add_challenge(probe.challenge))
        decided_on: list[str] | None = None
        turn = 0
        for _ in range(_CLAIMS_MAX):
            live = self._registry.load_webhooks(app.app)
            standing = _find_same(live, webhook.environment, destination)
            if standing is not None and is_repeatable:
                return standing
            self._check_room(live, webhook.environment, destination, product)
            # Taken was the last uid by a webhook that is live, and then the set is another one now, or by one that is
            # deleted by now. Registrations on one set take turns 0, 1, 2, … without a gap: none that lives is passed over.
            ids = sorted(one.webhook for one in live)
            turn = turn + 1 if ids == decided_on else 0
            decided_on = ids
            registered = live_draft(
                "endpoint.registered",
                f"developer:{app.developer}",
                stated,
                uid=f"endpoint.registered/{app.app}/{digest_of(*ids, turn)}",
                changes=changes,
            )
            drafts = [registered, check_draft("endpoint.verified", app, probe)]
            rejection = find_rejection(self._sequencer.append_many(drafts, all_or_nothing=True))
            if rejection is None:
                return webhook
            if rejection.code != "conflict":
                raise rejection.error()
        raise WebhookRefused("WebhookLimitExceeded", TOO_MANY)

    def _check_room(
        self, live: Sequence[Webhook], environment: str, destination: Destination, product: Product
    ) -> None:
        here = [webhook for webhook in live if webhook.environment == environment]
        if product == "premium":
            is_full = len(here) >= self._limits.premium_per_environment
        else:
            is_full = len(live) >= self._limits.enterprise_per_app
        if is_full:
            raise WebhookRefused("WebhookLimitExceeded", TOO_MANY)
        if _find_same(live, environment, destination) is not None:
            raise WebhookRefused("DuplicateUrlFailed", TOO_MANY)

    def _end_subscriptions(self, webhook: str, actor: str, last: Sequence[Draft]) -> None:
        """End every subscription at ``webhook``, and append ``last`` behind the last of them."""
        page = self._registry.load_subscriptions(webhook, "", ENDED_AT_ONCE)
        while page or last:
            is_last = len(page) < ENDED_AT_ONCE
            # A subscription that the ledger refuses to end it never knew: its row is ended, and that is all there was.
            self._endings.end(page, actor=actor, channel=CHANNEL_DELETED, last=last if is_last else ())
            if is_last:
                return
            page = self._registry.load_subscriptions(webhook, page[-1].subscription, ENDED_AT_ONCE)

    def _find(self, app: App, webhook: str) -> Webhook:
        row = self._registry.load_webhook(webhook)
        if row is None or row.app != app.app:
            raise WebhookUnknown
        return row


def _find_same(live: Sequence[Webhook], environment: str, destination: Destination) -> Webhook | None:
    """The webhook of ``environment`` that has the same destination."""
    for webhook in live:
        if webhook.environment == environment and parse_url(webhook.url) == destination:
            return webhook
    return None
