"""What the dialects share about subscriptions: making one is granting, ending one is revoking (section 3.1).

The *evidence* of a grant made here: method ``oauth1``; a commitment to the signed request, which is the signature base
string, a line feed and the signature (so the account or its app, who can show both, can hold the ledger to it; no secret is
in it); and the hash of the consent text that the account was shown, where its token came about on the consent page.
The scopes are those that the account left standing when it gave the token.

Accounts are tags inside and the platform's ids in answers; whoever was erased has no id any more and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.auth import AppCaller, UserCaller
from api.problems import ProblemError
from api.routes.webhook_calls import check_may_write, match_numeric_id
from api.service import Service
from ledger.errors import RejectedError
from ledger.gateway.refusal import GatewayRefusal
from ledger.gateway.subscriptions import DuplicateSubscription, Evidence
from ledger.ports.registry import App, Subscription, Webhook

_PAGE = 1_000
_NOBODY = f"a_{0:032x}"
"""A tag that nobody has, as tags are drawn at random."""

BY_ACCOUNT = "api_account"
BY_DEVELOPER = "api_developer"
"""Channels of a revocation: with the account's own token, or by the app alone."""


def subscribe(service: Service, caller: UserCaller, webhooks: Sequence[Webhook]) -> None:
    """Let the activity of the calling account go to each of ``webhooks``, as far as it does not.

    Raises ProblemError (214) without webhooks, (348) where the account cannot grant this; DuplicateSubscription (355) where
    its activity goes to all of them already, and what else ``Subscriptions.subscribe`` refuses.
    """
    check_may_write(caller.app)
    if not webhooks:
        raise ProblemError("webhook-refused", "Webhook URL must be defined to create subscriptions.")
    consent_text = caller.token.consent_text
    evidence = Evidence(
        method="oauth1",
        request=caller.signed_text,
        consent_text=None if consent_text is None else consent_text.hex(),
        token_hash=caller.token.token_hash,
    )
    made = [_subscribe(service, caller, webhook, evidence) for webhook in webhooks]
    if not any(made):
        raise DuplicateSubscription


def _subscribe(service: Service, caller: UserCaller, webhook: Webhook, evidence: Evidence) -> bool:
    """Whether there was none."""
    try:
        service.subscriptions.subscribe(caller.app, webhook, caller.account, caller.token.scopes, evidence)
    except DuplicateSubscription:
        return False
    except GatewayRefusal:
        raise
    except RejectedError:
        # The log's own words are about entries: the account or the app is suspended or deleted.
        raise ProblemError("subscription-refused") from None
    return True


def find_own(service: Service, caller: UserCaller, webhooks: Sequence[Webhook]) -> list[Subscription]:
    """The calling account's live subscriptions at ``webhooks``."""
    return _find(service, webhooks, caller.account.tag)


def unsubscribe_own(service: Service, caller: UserCaller, webhooks: Sequence[Webhook]) -> int:
    """End the calling account's subscriptions at ``webhooks``; how many there were."""
    found = find_own(service, caller, webhooks)
    if found:
        service.subscriptions.unsubscribe_all(found, by=f"account:{caller.account.tag}", channel=BY_ACCOUNT)
    else:
        service.subscriptions.heed_ended(caller.account.tag)
    return len(found)


def unsubscribe_user(
    service: Service, caller: AppCaller, webhooks: Sequence[Webhook], account_id: str
) -> int:
    """End the subscriptions of the platform's ``account_id`` at ``webhooks``; how many there were."""
    known = service.ledger.vault.find([account_id]) if match_numeric_id(account_id) else {}
    # For somebody whom the ledger does not know the same is done as for whom it knows and who is not subscribed here: how
    # long the answer takes tells nobody which of the two it is.
    tags = [subject.tag for subject in known.values()] or [_NOBODY]
    found = [one for tag in tags for one in _find(service, webhooks, tag)]
    if found:
        by = f"developer:{caller.app.developer}"
        service.subscriptions.unsubscribe_all(found, by=by, channel=BY_DEVELOPER)
    else:
        # Of the app and not of the account: how busy somebody is that the app may not ask about would be told by the wait.
        service.subscriptions.heed_ended(app=caller.app.app)
    return len(found)


def list_subscribers(service: Service, webhooks: Sequence[Webhook]) -> list[str]:
    """Platform ids of those whose activity goes to any of ``webhooks``, each once, by when they subscribed."""
    since_ms: dict[str, int] = {}
    for webhook in webhooks:
        for one in load_all(service, webhook):
            since_ms[one.account] = min(one.created_at_ms, since_ms.get(one.account, one.created_at_ms))
    ids = service.ledger.vault.account_of(since_ms)
    return [ids[tag] for tag in sorted(ids, key=lambda tag: (since_ms[tag], ids[tag]))]


def load_all(service: Service, webhook: Webhook) -> list[Subscription]:
    """Every live subscription at ``webhook``, in order of their id."""
    found: list[Subscription] = []
    after = ""
    while page := service.registry.load_subscriptions(webhook.webhook, after, _PAGE):
        found += page
        after = page[-1].subscription
    return found


def count(service: Service, app: App) -> dict[str, str]:
    """How many subscriptions ``app`` has, as all dialects say it: numbers are strings."""
    everything, direct_messages = service.registry.count_subscriptions(app.app)
    developer = service.registry.load_developer(app.developer)
    return {
        "account_name": app.developer if developer is None else developer.name,
        "subscriptions_count_all": str(everything),
        "subscriptions_count_direct_messages": str(direct_messages),
        "provisioned_count": str(service.settings.subscriptions_max),
    }


def unknown_subscription() -> ProblemError:
    """The answer of v1.1 about a subscription that is not there: as about any page that is not."""
    return ProblemError("not-found", reason="SubscriptionNotFound")


def _find(service: Service, webhooks: Sequence[Webhook], tag: str) -> list[Subscription]:
    found = (service.subscriptions.find_live(webhook.webhook, tag) for webhook in webhooks)
    return [one for one in found if one is not None]
