"""Challenges: asking a webhook to prove that it knows its app's consumer secret (delivery protocol, section 3.4).

``GET <url>?crc_token=…&nonce=…`` with an unguessable token, signed over the raw query string as it is sent, on a
connection of its own and within 3 s (:class:`~ledger.ports.sending.WebhookTransport`). What comes back is judged by
:mod:`ledger.core.webhook_auth`, what it means for the webhook by :mod:`ledger.gateway.validity`.

Each result is kept in the registry. An entry is made where validity turns, ``endpoint.verified`` or ``endpoint.failed``
with its reason, and where a challenge is passed with another TLS key than the one recorded last: verdicts compare
deliveries with the recorded key, and servers change theirs every few months. A routine pass makes no entry.

Rules kept here: a result is judged on the row as it stands when the answer has come, one at a time for each webhook. Two
processes that ask one webhook at once may each write a row; an entry's ``uid`` names the state that it turned from, so
the turn is recorded once, and the next challenge sets right which row stands. Left to :mod:`ledger.gateway.webhooks`:
registration, where a failed challenge leaves nothing behind.
"""

from __future__ import annotations

import threading
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog

from ledger.core.canonical import JsonValue
from ledger.core.destinations import parse_url
from ledger.core.webhook_auth import SIGNATURE_HEADER, ChallengeFailed, check_challenge, sign_body
from ledger.errors import LedgerError, StoreError
from ledger.gateway.drafts import GATEWAY, digest_of, live_draft
from ledger.gateway.parties import Parties
from ledger.gateway.validity import Result, Turn, after_challenge, turn_between, warning_of
from ledger.ports import Change, Clock, Randomness
from ledger.ports.registry import App, Challenge, ChallengeTrigger, Registry, Webhook
from ledger.ports.sending import ObservedDelivery, WebhookTransport
from ledger.sequencer.draft import Draft, expect
from ledger.sequencer.sequencer import Sequencer

TOKEN_BYTES = 32
NONCE_BYTES = 16

ASKED_AT_ONCE = 16
"""How many webhooks are asked at the same time: a slow one takes one of these places for its 3 s, and no other's time."""

DUE_MAX = 256
"""How many due webhooks one run takes on."""

KEYS_REMEMBERED_MAX = 100_000
_LOCKS = 64
_OBSERVED = frozenset({"addresses", "latency_ms", "reason", "spki_sha256"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Probe:
    """One challenge as it went: what is kept of it, what it means, and what was seen of the connection.

    ``code`` is the reason of a failure as an entry has it, None for a pass. ``is_refused_egress``: the URL leads to where
    nothing is ever sent.
    """

    challenge: Challenge
    result: Result
    code: str | None
    addresses: tuple[str, ...]
    spki_sha256: str | None
    is_refused_egress: bool


class Challenges:
    """Asks webhooks, keeps what came of it, and keeps to the schedule. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        registry: Registry,
        parties: Parties,
        transport: WebhookTransport,
        clock: Clock,
        randomness: Randomness,
        asked_at_once: int = ASKED_AT_ONCE,
    ) -> None:
        self._sequencer = sequencer
        self._registry = registry
        self._parties = parties
        self._transport = transport
        self._clock = clock
        self._randomness = randomness
        self._asked_at_once = asked_at_once
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))
        self._keys: dict[str, str] = {}

    def ask(self, app: App, webhook_id: str, url: str, trigger: ChallengeTrigger) -> Challenge:
        """Ask the webhook ``webhook_id`` of ``app`` at ``url`` now; what came of it, durable where it is registered.

        A "no" of the webhook is a result and no exception. Raises StoreError or ForkError where keeping it failed; asking
        again is then safe.
        """
        probe = self.probe(app, webhook_id, url, trigger)
        self._keep(app, webhook_id, probe)
        return probe.challenge

    def probe(self, app: App, webhook_id: str, url: str, trigger: ChallengeTrigger) -> Probe:
        """Ask, and keep nothing of it: for a webhook that is about to be registered."""
        token, nonce = self._draw(TOKEN_BYTES), self._draw(NONCE_BYTES)
        query = f"crc_token={token}&nonce={nonce}"
        secret = self._parties.consumer_secret(app)
        _, own_query_mark, own_query = parse_url(url).path.partition("?")
        # What is signed is what the transport sends: the URL's own query, if it has one, and ours behind it.
        raw_query = f"{own_query}&{query}" if own_query_mark else query
        headers = {SIGNATURE_HEADER: sign_body(secret, raw_query.encode("ascii"))}
        began_at_ms = self._clock.now_ms()
        answer = self._transport.challenge(webhook_id, url, query, headers)
        seen = answer.observed
        # An answer that did not come to its end in time is no wrong answer: it is late.
        status = None if seen.is_timeout else seen.status
        judged = check_challenge(secret, token, status, answer.body, seen.is_timeout, seen.is_unreached)
        failed = judged if isinstance(judged, ChallengeFailed) else None
        challenge = Challenge(
            webhook=webhook_id,
            at_ms=began_at_ms,
            trigger=trigger,
            is_passed=failed is None,
            status=status,
            latency_ms=max(0, seen.ended_at_ms - began_at_ms),
            reason=None if failed is None else failed.reason,
        )
        return Probe(
            challenge,
            _result_of(failed),
            None if failed is None else _code_of(seen, status),
            seen.vetted_addresses,
            seen.spki_sha256,
            seen.is_refused_egress,
        )

    def run_due(self) -> int:
        """Ask the webhooks that are due, some at a time, and return when all have been asked; how many there were.

        One whose result cannot be kept is logged and stays due; it holds up no other. Raises StoreError where the registry
        cannot say what is due.
        """
        due = self._registry.load_webhooks_due(self._clock.now_ms(), DUE_MAX)
        if due:
            with ThreadPoolExecutor(min(self._asked_at_once, len(due)), "challenge") as pool:
                list(pool.map(self._ask_due, due))
        return len(due)

    def forget(self, webhook_id: str) -> None:
        """Close what connections are kept to a webhook that is gone."""
        self._keys.pop(webhook_id, None)
        self._transport.forget(webhook_id)

    def _ask_due(self, webhook: Webhook) -> None:
        try:
            app = self._registry.load_app(webhook.app)
            if app is None:
                raise StoreError(f"the app {webhook.app} of the webhook has no row")
            self.ask(app, webhook.webhook, webhook.url, "schedule")
        except LedgerError as error:
            log.error("challenge.not_kept", webhook=webhook.webhook, error=str(error))

    def _keep(self, app: App, webhook_id: str, probe: Probe) -> None:
        with self._locks[hash(webhook_id) % _LOCKS]:
            webhook = self._registry.load_webhook(webhook_id)
            if webhook is None or webhook.deleted_at_ms is not None:
                return
            challenge = probe.challenge
            after = after_challenge(webhook, probe.result, challenge.reason, challenge.at_ms)
            changes = (self._registry.put_webhook(after), self._registry.add_challenge(challenge))
            draft = self._draft_of(app, webhook, after, probe, changes)
            # Dying before the append leaves nothing: the webhook is as due as it was. The entry and the row become
            # durable together.
            if draft is None or not expect(self._sequencer.append(draft)).created:
                self._registry.apply(changes)
            self._remember_key(webhook_id, probe)
        self._tell(webhook, after, probe)

    def _draft_of(
        self, app: App, before: Webhook, after: Webhook, probe: Probe, changes: Sequence[Change]
    ) -> Draft | None:
        """The entry of a result, or None where it changes nothing that entries tell."""
        turn = turn_between(before, after)
        if turn is None:
            if not probe.challenge.is_passed or self._keys.get(before.webhook) == probe.spki_sha256:
                return None
            if before.webhook not in self._keys:
                # Nothing was seen of it since this process began: an entry only for a key that it never had.
                return check_draft("endpoint.verified", app, probe, changes=changes)
        state = (before.is_valid, before.validated_at_ms or 0, before.failing_since_ms or 0)
        return check_draft(turn or "endpoint.verified", app, probe, *state, changes=changes)

    def _remember_key(self, webhook_id: str, probe: Probe) -> None:
        if probe.challenge.is_passed and probe.spki_sha256 is not None:
            if len(self._keys) >= KEYS_REMEMBERED_MAX:
                self._keys.clear()
            self._keys[webhook_id] = probe.spki_sha256

    def _tell(self, before: Webhook, after: Webhook, probe: Probe) -> None:
        warned = warning_of(after, probe.challenge.at_ms)
        if before.is_valid != after.is_valid:
            log.warning(
                "webhook.validity_turned", webhook=after.webhook, is_valid=after.is_valid, code=probe.code
            )
        elif warned is not None:
            log.warning("webhook.failing", webhook=after.webhook, disabled_at_ms=warned.disabled_at_ms)

    def _draw(self, size_bytes: int) -> str:
        return urlsafe_b64encode(self._randomness.token(size_bytes)).rstrip(b"=").decode("ascii")


def check_draft(
    kind: Turn, app: App, probe: Probe, *turned_from: str | int, changes: Sequence[Change] = ()
) -> Draft:
    """The entry that says what ``probe`` saw of a webhook of ``app``.

    Its ``uid`` names the webhook and ``turned_from``, the state that it changes, so that whoever sees the same change
    makes the same entry; without that, the TLS key, so that a key is told once.
    """
    challenge = probe.challenge
    stated: dict[str, JsonValue] = {"endpoint": challenge.webhook, "latency_ms": challenge.latency_ms}
    if probe.addresses:
        stated["addresses"] = list[JsonValue](sorted(set(probe.addresses)))
    if probe.spki_sha256 is not None:
        stated["spki_sha256"] = probe.spki_sha256
    if probe.code is not None:
        stated["reason"] = probe.code
    is_developers = challenge.trigger in ("registration", "request")
    named = digest_of(*(turned_from or (probe.spki_sha256 or "",)))
    draft = live_draft(
        kind,
        f"developer:{app.developer}" if is_developers else GATEWAY,
        stated,
        uid=f"{kind}/{challenge.webhook}/{named}",
        via="api" if is_developers else "system",
        changes=changes,
    )
    return replace(draft, compare_exclude=draft.compare_exclude | _OBSERVED)


def _result_of(failed: ChallengeFailed | None) -> Result:
    if failed is None:
        return "passed"
    return "failed_for_now" if failed.is_transient else "failed"


def _code_of(seen: ObservedDelivery, status: int | None) -> str:
    """The failure as the ``reason`` of an entry, which is an id."""
    if seen.is_refused_egress:
        return "CRC_ADDRESS_NOT_PUBLIC"
    if seen.is_timeout:
        return "CRC_TIMEOUT"
    if status is None:
        return "CRC_NO_CONNECTION"
    return "CRC_WRONG_ANSWER" if 200 <= status < 300 else f"CRC_STATUS_{status}"
