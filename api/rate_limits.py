"""How often a family of calls may be made: fixed windows of 15 minutes (delivery protocol, section 3.2).

Windows begin at multiples of their length since the epoch, and are counted where all processes count, in the credentials'
store. A call counts once it is known who calls, whether or not it then succeeds. The bucket is the app's, and for calls of
an account's token that account's with the app.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from api.auth import AppCaller, UserCaller
from api.service import Service

WINDOW_MS: Final = 15 * 60 * 1_000


@dataclass(frozen=True, slots=True)
class RateState:
    """Where a caller stands in its window; ``is_over`` where this call was one too many."""

    limit: int
    remaining: int
    resets_at_s: int
    is_over: bool

    def headers(self) -> dict[str, str]:
        """The headers that every answer of a limited call has."""
        return {
            "x-rate-limit-limit": str(self.limit),
            "x-rate-limit-remaining": str(self.remaining),
            "x-rate-limit-reset": str(self.resets_at_s),
        }


def bucket_of(family: str, caller: AppCaller | UserCaller) -> str:
    """Whose window a call of ``caller`` counts in; holds ids of apps and tags only."""
    bucket = f"{family}/{caller.app.app}"
    return f"{bucket}/{caller.account.tag}" if isinstance(caller, UserCaller) else bucket


def count_call(service: Service, family: str, caller: AppCaller | UserCaller) -> RateState:
    """Count one call of ``caller`` in ``family``, one of :data:`~ledger.service_settings.RATE_LIMITS`."""
    limit = service.settings.rate_limits[family]
    now_ms = service.clock.now_ms()
    start_ms = now_ms - now_ms % WINDOW_MS
    count = service.credentials.count_call(bucket_of(family, caller), start_ms, limit)
    return RateState(
        limit=limit,
        remaining=max(0, limit - count),
        resets_at_s=(start_ms + WINDOW_MS) // 1_000,
        is_over=count > limit,
    )
