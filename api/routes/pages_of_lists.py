"""Cursors: where a list goes on (all lists of the ledger's own API).

A cursor is what the last item is ordered by, in base64url, and nothing else: it holds no secret and gives no access, lists
that grow meanwhile neither repeat nor skip what was there. Callers hand back what they got; anything else is refused.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final

from fastapi import Query

from api.problems import ProblemError
from ledger.core.strict import INTEGER_MAX, is_id

PAGE_MAX: Final = 1_000
_CURSOR_CHARACTERS_MAX = 400
_SEPARATOR = "\n"

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=_CURSOR_CHARACTERS_MAX, description="`meta.next_cursor` of the page before."),
]


def format_cursor(*place: str | int) -> str:
    """The cursor of an item that is ordered by ``place``, whose texts hold no line feed."""
    return urlsafe_b64encode(_SEPARATOR.join(map(str, place)).encode()).rstrip(b"=").decode("ascii")


def parse_cursor(cursor: str | None, *shape: type[int | str]) -> tuple[int | str, ...] | None:
    """The place that ``cursor`` says, its parts of the types in ``shape``; None without one.

    Raises ProblemError (400) for a text that :func:`format_cursor` did not make for such a list.
    """
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        parts = text.split(_SEPARATOR)
        place = tuple(kind(part) for kind, part in zip(shape, parts, strict=True))
    except ValueError:
        raise _wrong() from None
    if format_cursor(*place) != cursor or not all(map(_is_part, place)):
        raise _wrong()
    return place


def _is_part(part: int | str) -> bool:
    """Whether a list can be ordered by ``part``: a time, a number, or an id."""
    return is_id(part) if isinstance(part, str) else 0 <= part <= INTEGER_MAX


def _wrong() -> ProblemError:
    return ProblemError("malformed", "The cursor is none of this list: hand back `next_cursor` as it came.")
