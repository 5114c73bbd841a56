"""For developers: check a delivery, confirm it with a signed receipt, and hand receipts in (delivery protocol, section 3.5).

::

    signer = ReceiptSigner("dev-acme", load_receipt_key(Path("receipts.key")), "ledger.example/prod+...+...")
    sender = ReceiptSender("https://api.example", "glk_...")
    ...
    check_webhook(secrets, headers, body, now_s)                # raises SignatureError: answer 403 and stop
    sender.put(signer.sign(headers, received_at_ms))            # never waits
    ...
    sender.close()                                              # hands in what is left

A receipt confirms that a delivery arrived, and nothing about what was in it. It is worth making for every delivery whose
signature is right, *above all for those without a ticket or with a wrong one*: these are what the ledger may not know of.
Receipts wait in memory; those that were not handed in when a process dies are lost, and cost nothing but their evidence.
A call that failed is made again, which is harmless.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import structlog

from ledger.core.dsse import Envelope, format_envelope
from ledger.core.receipts import RECEIPT_TYPE, Receipt, is_host, statement_of
from ledger.core.standard_webhooks import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    is_signed,
    parse_secret,
)
from ledger.core.strict import is_id, parse_decimal
from ledger.core.ticket import TICKET_HEADER, Ticket, check_ticket
from ledger.errors import FormatError, LedgerError, SettingsError, SignatureError, StoreError
from ledger.ports import Randomness
from ledger.vault.ed25519 import Ed25519Signer, generate, signer_from_skey, verifier_from_vkey
from ledger.vault.private_files import create_private_file, read_private_file
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS

TOLERANCE_S = 300
"""How far a webhook's timestamp may be from now."""

BATCH_MAX = 1_000
WAITING_MAX = 100_000
"""How many receipts wait at most; the oldest are dropped beyond that, and counted."""

TIMEOUT_S = 30.0
_NAME_BYTES = 10

log = structlog.get_logger()

_FILE = "the key file"


def check_webhook(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now_s: int) -> str:
    """The message id of a delivery that one of ``secrets`` (``whsec_…``) signed not long ago.

    ``headers`` are found in lower case, ``body`` is as it came. Raises SignatureError where nobody of these signed it, or
    too long ago, and FormatError where the headers are not there.
    """
    try:
        message, signatures = headers[ID_HEADER], headers[SIGNATURE_HEADER]
        timestamp_s = parse_decimal(headers[TIMESTAMP_HEADER])
    except KeyError as error:
        raise FormatError(f"there is no header {error.args[0]}") from None
    if abs(now_s - timestamp_s) > TOLERANCE_S:
        raise SignatureError("the delivery was signed too long ago, or is dated ahead")
    if not message.isascii() or not any(
        is_signed(parse_secret(secret), message, timestamp_s, body, signatures) for secret in secrets
    ):
        raise SignatureError("the delivery is not signed with any of the secrets")
    return message


def make_receipt_key(path: Path, developer: str, randomness: Randomness = SYSTEM_RANDOMNESS) -> str:
    """Make the private key of ``developer`` in the new file ``path``; the public key in hex, to be registered."""
    signer = generate(developer, randomness)
    create_private_file(path, f"{signer.skey()}\n".encode(), _FILE)
    return public_key_of(signer)


def load_receipt_key(path: Path) -> Ed25519Signer:
    """The key in ``path``; raises SettingsError when it is missing, not this user's alone, or holds none."""
    text = read_private_file(path, _FILE).decode("utf-8", errors="replace")
    try:
        return signer_from_skey(text.removesuffix("\n"))
    except FormatError:
        raise SettingsError(f"{_FILE} {path} does not hold a private key on one line") from None


def public_key_of(signer: Ed25519Signer) -> str:
    """The public key in hex, as ``PUT /v1/receipts/key`` takes it."""
    return signer.verifier().public_key().hex()


class ReceiptSigner:
    """Makes receipts of ``developer`` for the log whose public key is ``vkey``; safe from any thread."""

    def __init__(
        self, developer: str, key: Ed25519Signer, vkey: str, randomness: Randomness = SYSTEM_RANDOMNESS
    ) -> None:
        self._developer = developer
        self._key = key
        self._verifier = verifier_from_vkey(vkey)
        self._randomness = randomness

    def ticket_in(self, headers: Mapping[str, str]) -> Ticket | None:
        """The ticket that came along, where the log signed it."""
        try:
            return check_ticket(headers.get(TICKET_HEADER, ""), [self._verifier])
        except LedgerError:
            return None

    def sign(self, headers: Mapping[str, str], received_at_ms: int) -> dict[str, Any]:
        """The receipt for a delivery with ``headers`` (lower case), to be handed in as it is.

        A delivery without a usable message id gets a name that no log has, and a host that is none is ``unknown``: whoever
        sends decides on both, and may not decide by them whether there is a receipt. A ticket that the log did not sign is
        left out: the receipt says then that the delivery came without.
        """
        ticket = self.ticket_in(headers)
        message, host = headers.get(ID_HEADER, ""), headers.get("host", "")
        receipt = Receipt(
            log=self._verifier.name,
            delivery=message if is_id(message) else f"unnamed-{self._randomness.token(_NAME_BYTES).hex()}",
            developer=self._developer,
            host=host if is_host(host) else "unknown",
            received_at_ms=received_at_ms,
            promised=None if ticket is None else (ticket.seq, ticket.leaf_hash.hex()),
        )
        statement = statement_of(receipt.log, receipt.members())
        signature = self._key.sign(receipt.signed_bytes())
        made: dict[str, Any] = format_envelope(
            Envelope(RECEIPT_TYPE, statement, signature), self._key.key_id.hex()
        )
        return made if ticket is None else made | {"ticket": headers[TICKET_HEADER]}


def hand_in(client: httpx.Client, receipts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Hand in at most 1,000 receipts; what became of each. Raises StoreError where the call has to be made again."""
    try:
        answer = client.post("/v1/receipts", json=list(receipts))
    except httpx.HTTPError as error:
        raise StoreError(f"the receipts were not handed in: {type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK:
        raise StoreError(f"the receipts were not taken: status {answer.status_code}")
    results: list[dict[str, Any]] = []
    try:
        results = answer.json()["results"]
        is_whole = len(results) == len(receipts) and all(isinstance(each, dict) for each in results)
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise StoreError("the answer does not say what became of each receipt")
    return results


class ReceiptSender:
    """Hands in receipts behind whoever makes them, in batches; safe from any thread.

    ``on_result`` is told of each receipt and what became of it, and may raise nothing worse than a line in the log.
    ``dropped`` counts those that there was no room for.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        every_s: float = 5.0,
        on_result: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda receipt, result: None,
    ) -> None:
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        self._every_s = every_s
        self._on_result = on_result
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        self._thread.start()

    def put(self, receipt: Mapping[str, Any]) -> None:
        """Have ``receipt`` handed in; never waits."""
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(receipt)
            if len(self._waiting) >= BATCH_MAX:
                self._wake.set()

    def close(self) -> int:
        """Hand in what waits, once more; how many could not be."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(TIMEOUT_S * 2)
        self._client.close()
        return len(self._waiting)

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(self._every_s)
            self._wake.clear()
            self._hand_in_all()
        self._hand_in_all()

    def _hand_in_all(self) -> None:
        while self._waiting:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            try:
                results = hand_in(self._client, batch)
            except StoreError:
                # The same call is made again after a while: what was taken is found there.
                with self._lock:
                    self._waiting.extendleft(reversed(batch))
                return
            for receipt, result in zip(batch, results, strict=True):
                try:
                    self._on_result(receipt, result)
                except Exception as error:  # noqa: BLE001 - the next receipts are handed in all the same
                    log.error("receipts.listener_failed", error=type(error).__name__)
