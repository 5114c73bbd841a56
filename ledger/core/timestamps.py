"""Instants as people write them and as entries keep them (ledger format, sections 1.1 and 1.6; RFC 3339).

Entries hold integer milliseconds UTC. Records may also write RFC 3339, of which one form is taken: a capital ``T``
and ``Z``, no offset, ``2017-06-01T12:00:00.120Z``. Digits beyond milliseconds are cut off, never rounded, so that no
instant moves into the next day. A leap second (``:60``) has no milliseconds of its own and is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from ledger.core.strict import INTEGER_MAX, shown
from ledger.errors import FormatError

DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_MS = (date.max.toordinal() - _EPOCH_DAY + 1) * DAY_MS - 1

_match_minute = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3]):([0-5][0-9]):", re.ASCII
).fullmatch
_match_second = re.compile(r"([0-5][0-9])(?:\.([0-9]+))?Z", re.ASCII).fullmatch

_MINUTE_CHARACTERS = len("2017-06-01T12:00:")
_KEPT_CHARACTERS = len("00.000000000Z")


def parse_instant(value: object) -> int:
    """Milliseconds UTC of an RFC 3339 text with ``Z``, or of integer milliseconds; at least 0.

    Raises FormatError for any other text or type (a boolean or a float is no integer) and for an instant before 1970
    or beyond 2^53 - 1 milliseconds.
    """
    if type(value) is str:
        return parse_rfc3339(value)
    if type(value) is not int:
        raise FormatError("an instant is neither RFC 3339 text nor integer milliseconds")
    if not 0 <= value <= INTEGER_MAX:
        raise FormatError("an instant in milliseconds is not between 0 and 2^53 - 1")
    return value


def parse_rfc3339(text: str) -> int:
    """Milliseconds UTC of ``2017-06-01T12:00:00.120Z``; digits beyond milliseconds are cut off.

    Raises FormatError for any other form (an offset, a small letter, a leap second), a day that no calendar has, and
    an instant before 1970.
    """
    # Records come in order of time, so that both halves recur; the second one is kept only while it is short.
    minute_ms = _minute_start_ms(text[:_MINUTE_CHARACTERS])
    rest = text[_MINUTE_CHARACTERS:]
    second_ms = _kept_second_ms(rest) if len(rest) <= _KEPT_CHARACTERS else _second_ms(rest)
    if minute_ms is None or second_ms is None:
        raise FormatError(f"{shown(text)} is not an instant as in 2017-06-01T12:00:00.120Z")
    return minute_ms + second_ms


@lru_cache(maxsize=4_096)
def _minute_start_ms(text: str) -> int | None:
    parts = _match_minute(text)
    if parts is None:
        return None
    day, hour, minute = parts.groups()
    try:
        ordinal = date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal()
    except ValueError:
        raise FormatError(f"there is no day {day}") from None
    if ordinal < _EPOCH_DAY:
        raise FormatError(f"{day} is before 1970")
    return (ordinal - _EPOCH_DAY) * DAY_MS + int(hour) * 3_600_000 + int(minute) * 60_000


def _second_ms(text: str) -> int | None:
    parts = _match_second(text)
    if parts is None:
        return None
    second, fraction = parts.groups()
    return int(second) * 1_000 + (int(fraction[:3].ljust(3, "0")) if fraction else 0)


_kept_second_ms = lru_cache(maxsize=65_536)(_second_ms)


def format_rfc3339(instant_ms: int) -> str:
    """``instant_ms`` with three digits of milliseconds; FormatError when it is not within 1970 and 9999."""
    if type(instant_ms) is not int or not 0 <= instant_ms <= _LAST_MS:
        raise FormatError("an instant is not within the years 1970 and 9999")
    seconds, ms = divmod(instant_ms, 1_000)
    # Not fromtimestamp, which asks the platform and gives floats.
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment.isoformat()[:19]}.{ms:03d}Z"
