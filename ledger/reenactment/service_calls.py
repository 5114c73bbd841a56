"""The calls that a reenactment makes at a running service, over HTTP, as developers, accounts and a platform make them.

v1.1 premium with OAuth 1.0a, signed by the library that client libraries use; the bearer token where the public API asks for
it; ``POST /v1/events`` with an API key. Each call returns what it answered, or raises StoreError with what it answered
instead: an answer that was not expected ends the play.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
from oauthlib.oauth1 import Client

from ledger.errors import StoreError
from ledger.gateway.tokens import NewToken
from ledger.reenactment.service_parties import AppKeys
from ledger.reenactment.traffic import Event

PREMIUM = "/1.1/account_activity/all"
TIMEOUT_S = 60.0
"""For one answer: unsubscribing waits for what is being sent."""

_KEPT_S = 5.0
"""How long a connection is used again: well below the server's own limit."""
_SHOWN_CHARACTERS_MAX = 300

_find_refusals = re.compile(rb"^grantledger_refusals_total(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE).findall


class ServiceCalls:
    """A client of the service at ``base_url``; close it.

    ``check`` is called where a call got no answer, and raises where the service has gone.
    """

    def __init__(self, base_url: str, api_key: str, check: Callable[[], None]) -> None:
        """Open nothing yet."""
        self._base_url = base_url
        self._api_key = api_key
        self._check = check
        limits = httpx.Limits(keepalive_expiry=_KEPT_S)
        self._client = httpx.Client(base_url=base_url, timeout=TIMEOUT_S, trust_env=False, limits=limits)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def register_webhook(self, keys: AppKeys, environment: str, url: str) -> str:
        """Register ``url``, which is asked its challenge; the webhook's id."""
        path = f"{PREMIUM}/{environment}/webhooks.json?{urlencode({'url': url})}"
        answer = self._signed("POST", path, keys, keys.owner, 200)
        return str(answer.json()["id"])

    def subscribe(self, keys: AppKeys, environment: str, token: NewToken) -> None:
        """Subscribe the account that gave the app ``token``: its grant."""
        self._signed("POST", f"{PREMIUM}/{environment}/subscriptions.json", keys, token, 204)

    def unsubscribe(self, keys: AppKeys, environment: str, token: NewToken) -> None:
        """End that subscription, as the account."""
        self._signed("DELETE", f"{PREMIUM}/{environment}/subscriptions.json", keys, token, 204)

    def unsubscribe_account(self, keys: AppKeys, environment: str, account: str) -> None:
        """End the subscription of ``account``, as the app."""
        path = f"{PREMIUM}/{environment}/subscriptions/{account}.json"
        self._call("DELETE", path, 204, headers={"Authorization": f"Bearer {keys.bearer}"})

    def hand_in(self, events: Sequence[Event]) -> list[int]:
        """Hand in ``events``, at most 1,000, byte for byte; to how many webhooks each of them goes.

        But that a revocation happens now: by its date of the virtual clock it would end nothing that was granted since.
        """
        answer = self._call(
            "POST",
            "/v1/events",
            202,
            content=b"[" + b",".join(map(_as_of_now, events)) + b"]",
            headers={"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"},
        )
        results: list[dict[str, Any]] = answer.json()["results"]
        for result in results:
            if result["status"] != "accepted":
                raise StoreError(f"the service did not take an event: {json.dumps(result)}")
        return [int(result["deliveries"]) for result in results]

    def count_refusals(self) -> int:
        """How many attempts the gate has refused since this process of the service began."""
        found: list[bytes] = _find_refusals(self._call("GET", "/metrics", 200).content)
        return int(sum(float(number) for number in found))

    def _signed(
        self, method: Literal["POST", "DELETE"], path: str, keys: AppKeys, token: NewToken, expected: int
    ) -> httpx.Response:
        signer = Client(
            keys.consumer_key,
            client_secret=keys.consumer_secret,
            resource_owner_key=token.text,
            resource_owner_secret=token.secret,
        )
        _, headers, _ = signer.sign(f"{self._base_url}{path}", http_method=method)
        return self._call(method, path, expected, headers=headers)

    def _call(self, method: str, path: str, expected: int, **options: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            self._check()
            raise StoreError(f"the service gave no answer to {method} {_route(path)}: {error!r}") from error
        if answer.status_code != expected:
            said = ascii(answer.text[:_SHOWN_CHARACTERS_MAX])
            raise StoreError(
                f"the service answered {method} {_route(path)} with {answer.status_code} in place of {expected}: {said}"
            )
        return answer


def _route(path: str) -> str:
    """``path`` without what may be an account's id, or a query."""
    return re.sub(r"/[0-9]+(?=[./]|$)", "/…", path.partition("?")[0])


def _as_of_now(event: Event) -> bytes:
    if event.event_type != "user_event":
        return event.body
    payload = json.loads(event.body)
    payload["user_event"]["revoke"]["date_time"] = datetime.now(UTC).isoformat()
    return json.dumps(payload, separators=(",", ":")).encode()
