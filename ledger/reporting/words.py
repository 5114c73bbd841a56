"""Numbers, shares, times and lists as a reader expects them: English, UTC, no locale of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.core.timestamps import format_rfc3339, parse_instant

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_UNITS = (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0), ("second", 1.0))
_IRREGULAR = {"was": "were", "has": "have", "it": "they", "person": "people", "other person": "other people"}


def number(value: float) -> str:
    """``value`` with commas between thousands; at most two decimals where it is no integer."""
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """``count`` and the noun for it: ``1 delivery``, ``1,204 deliveries``; a count of 0 is ``no``."""
    return f"{number(count) if count else 'no'} {plural_of(count, noun, plural)}"


def plural_of(count: int, noun: str, plural: str | None = None) -> str:
    """``noun``, or its plural unless ``count`` is 1."""
    if count == 1:
        return noun
    if plural is not None:
        return plural
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"


def share(part: float | None) -> str:
    """A share between 0 and 1 as a percentage; only exactly none and exactly all are written as 0% and 100%.

    None, which is a share of nothing, is a dash.
    """
    if part is None:
        return "–"
    percent = part * 100
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if percent < 0.01:
        return "under 0.01%"
    if percent > 99.9:
        return "over 99.9%"
    decimals = 2 if percent < 1 else 1
    text = f"{percent:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.')}%"


def listed(words: Sequence[str]) -> str:
    """``words`` as a list in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def day(instant: str | int) -> str:
    """The day of an instant (RFC 3339 text or milliseconds) as ``3 July 2017``."""
    text = format_rfc3339(parse_instant(instant))
    return f"{int(text[8:10])} {MONTHS[int(text[5:7]) - 1]} {text[:4]}"


def moment(instant: str | int) -> str:
    """An instant (RFC 3339 text or milliseconds) as ``3 July 2017, 12:00:00.120 UTC``; full seconds without digits."""
    text = format_rfc3339(parse_instant(instant))
    return f"{day(instant)}, {text[11:23].removesuffix('.000')} UTC"


def month(year_month: str) -> str:
    """``2017-05`` as ``May 2017``."""
    return f"{MONTHS[int(year_month[5:7]) - 1]} {year_month[:4]}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units: ``41 days 3 hours``, ``2 minutes``, ``1.25 seconds``."""
    if round(seconds, 2) < 60:
        return f"{number(round(seconds, 2))} {plural_of(2 if seconds != 1 else 1, 'second')}"
    parts: list[str] = []
    left = round(seconds)
    for unit, length in _UNITS:
        count, left = divmod(left, int(length))
        if count:
            parts.append(counted(int(count), unit))
        if len(parts) == 2 or (parts and not left):
            break
    return " ".join(parts)


def visible(text: str) -> str:
    """``text`` with each character that would not show, or would turn the text around, written as its escape."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
