"""Counts that egress proxies hand in, and the keys that they sign them with (ledger format, section 1.5).

What is not signed with the key that the log says is the proxy's is refused and leaves no entry. What the counts say decides
nothing here: whether they fit is for the verifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ledger.core.canonical import JsonValue
from ledger.core.dsse import parse_envelope
from ledger.core.egress_counts import read_count
from ledger.core.receipts import SignatureCheck
from ledger.core.uids import default_uid
from ledger.errors import FormatError
from ledger.gateway.drafts import live_draft
from ledger.gateway.reports import Taken, There
from ledger.sequencer.draft import Appended, Draft, expect
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX, Sequencer

COUNTS_MAX = BATCH_ITEMS_MAX
"""How many counts one call takes."""

_NOT_COMPARED = frozenset({"actor", "via", "key", "signature"})

CountFault = Literal["malformed", "another_log", "no_key", "signature"]


class CountRefused(msgspec.Struct, frozen=True, gc=False, tag_field="status", tag="rejected"):
    """The count is not in the log; its neighbours are."""

    code: CountFault
    reason: Annotated[str, Meta(description="why, in a sentence")]


CountResult = Taken | There | CountRefused


class EgressCounts:
    """Takes counts and keys of the log ``origin``. Safe from any thread."""

    def __init__(self, *, sequencer: Sequencer, origin: str, check: SignatureCheck) -> None:
        self._sequencer = sequencer
        self._origin = origin
        self._check = check

    def set_key(self, proxy: str, key: str, actor: str) -> bool:
        """Trust counts of ``proxy`` that are signed with ``key`` (64 hex digits) from now on; False where that is so already.

        Raises RejectedError where it is no key, or the ledger refuses.
        """
        current, now_ms = self._sequencer.look(
            lambda history, now_ms: (history.keys.in_force("proxy", proxy), now_ms)
        )
        if current == key:
            return False
        stated: dict[str, JsonValue] = {"proxy": proxy, "key": key}
        uid = default_uid("egress.key_set", {**stated, "at": now_ms})
        return expect(self._sequencer.append(live_draft("egress.key_set", actor, stated, uid=uid))).created

    def take(self, items: Sequence[object], actor: str) -> list[CountResult]:
        """Append the counts in ``items`` (envelopes as JSON values); a result for each, in order.

        At most :data:`COUNTS_MAX`; durable when this returns. Raises StoreError or ForkError where nothing is known; the same
        call may be made again.
        """
        assert len(items) <= COUNTS_MAX, f"at most {COUNTS_MAX} counts come in one call"
        keys: dict[str, str | None] = {}
        read = [self._read(item, actor, keys) for item in items]
        drafts = [one for one in read if isinstance(one, Draft)]
        outcomes = iter(self._sequencer.submit(drafts).result() if drafts else ())
        return [_result(next(outcomes)) if isinstance(one, Draft) else one for one in read]

    def _read(self, item: object, actor: str, keys: dict[str, str | None]) -> Draft | CountRefused:
        try:
            envelope = parse_envelope(item)
            log, members = read_count(envelope)
        except FormatError as error:
            return CountRefused("malformed", str(error))
        if log != self._origin:
            return CountRefused("another_log", f"the count is for another log; this one is {self._origin}")
        proxy = str(members["proxy"])
        if proxy not in keys:
            keys[proxy] = self._sequencer.look(lambda history, _: history.keys.in_force("proxy", proxy))
        key = keys[proxy]
        if key is None:
            return CountRefused("no_key", f"no key of a proxy {proxy} is in the log")
        if not self._check(bytes.fromhex(key), envelope.signed_bytes(), envelope.signature):
            return CountRefused("signature", f"the count is not signed with the key of {proxy}")
        signed: dict[str, JsonValue] = {"key": key, "signature": envelope.signature.hex()}
        uid = default_uid("egress.counted", members)
        draft: dict[str, JsonValue] = {
            **members,
            **signed,
            "kind": "egress.counted",
            "uid": uid,
            "actor": actor,
            "via": "api",
        }
        return Draft(draft, compare_exclude=_NOT_COMPARED)


def _result(outcome: Any) -> CountResult:
    if isinstance(outcome, Appended):
        made = Taken if outcome.created else There
        return made(outcome.seq, outcome.leaf_hash.hex())
    return CountRefused("signature", getattr(outcome, "reason", "the count is refused"))
