"""Who uses the developers' tools: an app by its bearer token, or a developer by an API key, for all its apps.

What is not the caller's is answered as what is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Security
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth import KEY_PREFIX, AppCaller
from api.deps import API_KEY, BEARER, app_only, key_with, limited, service_of
from api.problems import ProblemError
from api.routes.openapi_parts import NUMERIC
from api.routes.webhook_calls import load_own
from api.service import Service
from ledger.gateway.webhooks import WebhookUnknown
from ledger.ports.registry import App, Webhook

_KEY_START = f"bearer {KEY_PREFIX}_"
_by_key = key_with("developer")


@dataclass(frozen=True, slots=True)
class DeveloperCaller:
    """The apps that the caller may see, by age: one for a bearer token, a developer's for its key."""

    apps: tuple[App, ...]

    def choose(self, app: str | None) -> Sequence[App]:
        """The apps that a filter leaves: ``app``, or all; raises ProblemError (404) where ``app`` is none of them."""
        chosen = [one for one in self.apps if app is None or one.app == app]
        if app is not None and not chosen:
            raise ProblemError("not-found", "You have no app of this id.")
        return chosen

    def choose_one(self, app: str | None) -> App:
        """The one app that is meant; raises ProblemError (404), and (400) where that is not clear."""
        chosen = self.choose(app)
        if len(chosen) != 1:
            raise ProblemError("malformed", "You have several apps, or none: say which `app` is meant.")
        return chosen[0]


async def developer(
    request: Request, _1: Annotated[None, Security(BEARER)], _2: Annotated[None, Security(API_KEY)]
) -> DeveloperCaller:
    """The caller, by an app's bearer token or a developer's API key."""
    if not request.headers.get("authorization", "").lower().startswith(_KEY_START):
        return DeveloperCaller(((await app_only(request, None)).app,))
    key = (await _by_key(request, None)).key
    return DeveloperCaller(
        tuple(await run_in_threadpool(service_of(request).registry.load_apps, key.subject))
    )


Developer = Annotated[DeveloperCaller, Depends(developer)]
Served = Annotated[Service, Depends(service_of)]
WebhookId = Annotated[str, Path(description="The webhook's id.", json_schema_extra=NUMERIC)]


@dataclass(frozen=True, slots=True)
class OwnWebhook:
    """A live webhook of the caller's, and its app."""

    app: App
    webhook: Webhook


def own_webhook(webhook_id: WebhookId, caller: Developer, service: Served) -> OwnWebhook:
    """The live webhook in the path; raises WebhookUnknown (404) where it is none of the caller's."""
    for app in caller.apps:
        try:
            return OwnWebhook(app, load_own(service, app, webhook_id))
        except WebhookUnknown:
            continue
    raise WebhookUnknown


Own = Annotated[OwnWebhook, Depends(own_webhook)]


async def _app_of_webhook(own: Own) -> AppCaller:
    return AppCaller(own.app, "bearer")


LimitedByWebhook = Annotated[AppCaller, Depends(limited("webhooks", _app_of_webhook))]
"""Counts the call with the webhook calls of the app: it makes this service send something to the webhook."""
