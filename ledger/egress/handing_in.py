"""An hour's counts as signed statements, handed in to the service (ledger format, section 1.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from ledger.core.canonical import JsonValue
from ledger.core.dsse import Envelope, format_envelope
from ledger.core.egress_counts import EGRESS_TYPE, HOUR_MS, Counted, count_statement, sign_bytes
from ledger.egress.book import CountBook, Hour
from ledger.errors import StoreError
from ledger.vault.ed25519 import Ed25519Signer

ITEMS_MAX = 1_000
_IN_THE_LOG = frozenset({"appended", "exists"})


def statements_of(hour: Hour, proxy: str, key: Ed25519Signer, log: str) -> Iterator[dict[str, JsonValue]]:
    """The envelopes of an hour: one for each name and, of a whole hour, last the one that closes it."""
    about: dict[str, JsonValue] = {
        "proxy": proxy,
        "from_at": hour.hour_ms,
        "to_at": hour.hour_ms + HOUR_MS,
    }
    total = Counted()
    for sni, counted in hour.names:
        total = total.plus(counted)
        yield _sealed({**about, **counted._asdict(), "sni": sni}, key, log)
    if hour.is_whole:
        yield _sealed({**about, **total._asdict(), "names": len(hour.names)}, key, log)


def _sealed(members: dict[str, JsonValue], key: Ed25519Signer, log: str) -> dict[str, JsonValue]:
    signature = key.sign(sign_bytes(log, members))
    envelope = Envelope(EGRESS_TYPE, count_statement(log, members), signature)
    return format_envelope(envelope, key.key_id.hex())


def hand_in_hours(
    book: CountBook, client: httpx.Client, *, proxy: str, key: Ed25519Signer, log: str, now_ms: int
) -> int:
    """Hand in every hour that is over; how many. Raises StoreError where a call has to be made again: nothing is lost."""
    hours = book.load_over(now_ms)
    for hour in hours:
        items = list(statements_of(hour, proxy, key, log))
        for start in range(0, len(items), ITEMS_MAX):
            _post(client, items[start : start + ITEMS_MAX])
        book.note_handed_in(hour.hour_ms)
    return len(hours)


def _post(client: httpx.Client, items: list[dict[str, JsonValue]]) -> None:
    try:
        answer = client.post("/v1/egress", json=items)
    except httpx.HTTPError as error:
        raise StoreError(f"the counts were not handed in: {type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK:
        raise StoreError(f"the counts were not taken: status {answer.status_code}")
    try:
        results: list[dict[str, Any]] = answer.json()["results"]
        refused = [result for result in results if result["status"] not in _IN_THE_LOG]
    except (ValueError, KeyError, TypeError):
        results, refused = [], []
    if refused:
        raise StoreError(f"{len(refused)} counts were refused: {str(refused[0].get('reason'))[:200]}")
    if len(results) != len(items):
        # Only what is said to be in the log is never handed in again.
        raise StoreError("the answer does not say what became of each count")
