"""What others do when a delivery of the drill arrives: the wrong developer confirms it, and an auditor reports the canary.

Both over HTTP, at the service, with keys of their own, behind the answer to the delivery and not in its way. The service
records a canary by itself where a receipt is for a delivery that it knows; where it knows of none, somebody has to find the
marker, which here happens at once.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from ledger.drill.parties import WRONG, Cast
from ledger.errors import StoreError
from ledger.ports import Clock
from ledger.receiver.app import Arrival
from ledger.receiver.receipts import ReceiptSigner, hand_in

TIMEOUT_S = 10.0

_find_link = re.compile(r"https?://\S+/c/[0-9a-f]{64}").search


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What became of what others said; ``receipt_seq`` is the receipt's entry, ``sighting_seq`` that of the canary.

    ``sighting_seq`` is None where the service was to record it by itself.
    """

    receipt_seq: int
    sighting_seq: int | None


class Confirming:
    """Speaks for the wrong developer and for an auditor at the service ``base_url``; close it.

    ``with_sighting`` says that the marker is reported, too.
    """

    def __init__(self, base_url: str, vkey: str, cast: Cast, clock: Clock, *, with_sighting: bool) -> None:
        self._signer = ReceiptSigner(WRONG, cast.receipt_key, vkey)
        self._clock = clock
        self._with_sighting = with_sighting
        self._developer = _client(base_url, cast.developer_key.text)
        self._auditor = _client(base_url, cast.auditor_key.text)
        self._pool = ThreadPoolExecutor(1, "confirming")
        self._future: Future[Confirmed] | None = None

    def arrived(self, arrival: Arrival) -> None:
        """A delivery arrived at the wrong developer; only the first that is signed counts. Never waits."""
        if arrival.is_signed and self._future is None:
            self._future = self._pool.submit(self._confirm, arrival, self._clock.now_ms())

    @property
    def is_done(self) -> bool:
        """Whether :meth:`result` says what became of it."""
        return self._future is not None and self._future.done()

    def result(self) -> Confirmed:
        """What became of it; raises StoreError where nothing arrived, or it was not taken, or is on its way still."""
        if self._future is None:
            raise StoreError("nothing arrived at the wrong developer")
        if not self._future.done():
            raise StoreError("the service did not answer whoever confirmed the delivery in time")
        return self._future.result()

    def close(self) -> None:
        """Close its connections."""
        self._pool.shutdown(cancel_futures=True)
        self._developer.close()
        self._auditor.close()

    def _confirm(self, arrival: Arrival, received_at_ms: int) -> Confirmed:
        (result,) = hand_in(self._developer, [self._signer.sign(arrival.headers, received_at_ms)])
        if result["status"] == "rejected":
            raise StoreError(f"the receipt was refused: {result['reason']}")
        return Confirmed(int(result["seq"]), self._report(arrival) if self._with_sighting else None)

    def _report(self, arrival: Arrival) -> int:
        link = _find_link(json.dumps(arrival.payload()))
        if link is None:
            raise StoreError("the canary's link is not in what arrived")
        found = {"marker": link[0], "seen_by": WRONG, "evidence": "a drill"}
        try:
            answer = self._auditor.post("/v1/canaries/sightings", json=found)
        except httpx.HTTPError as error:
            raise StoreError(f"the canary could not be reported: {type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            raise StoreError(f"the report of the canary was not taken: status {answer.status_code}")
        return int(answer.json()["seq"])


def _client(base_url: str, api_key: str) -> httpx.Client:
    return httpx.Client(
        base_url=base_url,
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=TIMEOUT_S,
        trust_env=False,
    )
