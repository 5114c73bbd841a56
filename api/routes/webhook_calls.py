"""What the dialects share about webhooks: whose they are, and what an app may do (delivery protocol, section 3.2).

A webhook of another app is answered as one that never was: same status, same body. What a webhook's registration, its
challenge and its end are is the gateway's; here is only who asks, and how the answer reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from api.problems import ProblemError
from api.service import Service
from ledger.gateway.webhooks import EnvironmentUnknown, WebhookRefused, WebhookUnknown
from ledger.ports.registry import App, Webhook

WEBHOOK_ID_PATTERN: Final = r"^[0-9]{1,19}$"

match_numeric_id = re.compile(r"[0-9]{1,19}", re.ASCII).fullmatch
"""Ids of webhooks, jobs and accounts of the platform."""


def load_own(service: Service, app: App, webhook_id: str, environment: str | None = None) -> Webhook:
    """The live webhook ``webhook_id`` of ``app``, in ``environment`` where one is named.

    Raises WebhookUnknown (34, 404) where there is none, whatever the reason.
    """
    webhook = service.registry.load_webhook(webhook_id) if match_numeric_id(webhook_id) else None
    if (
        webhook is None
        or webhook.app != app.app
        or webhook.deleted_at_ms is not None
        or environment not in (None, webhook.environment)
    ):
        raise WebhookUnknown
    return webhook


def load_live(service: Service, app: App, environment: str | None = None) -> Sequence[Webhook]:
    """The live webhooks of ``app``, or of one of its environments, by age."""
    return service.registry.load_webhooks(app.app, environment)


def check_environment(app: App, environment: str) -> None:
    """Raise EnvironmentUnknown (200, 403) unless ``app`` has ``environment``; capital letters count."""
    if environment not in app.environments:
        raise EnvironmentUnknown


def check_may_write(app: App) -> None:
    """Raise ProblemError (261, 403) where ``app`` may only read."""
    if not app.can_write:
        raise ProblemError("write-refused")


def revalidate(service: Service, app: App, webhook: Webhook) -> None:
    """Ask ``webhook`` its challenge now; raises ProblemError (261), WebhookRefused (214) where it was not passed."""
    check_may_write(app)
    challenge = service.webhooks.revalidate(app, webhook.webhook)
    if not challenge.is_passed:
        raise WebhookRefused("CrcValidationFailed", challenge.reason or "The challenge was not passed.")


def delete(service: Service, app: App, webhook: Webhook) -> None:
    """Delete ``webhook`` with all that rests on it; raises ProblemError (261)."""
    check_may_write(app)
    service.webhooks.delete(app, webhook.webhook)
