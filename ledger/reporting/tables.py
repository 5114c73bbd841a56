"""Tables as CSV (RFC 4180) that a spreadsheet shows and does not run.

A cell that a spreadsheet could take for a formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break,
has an apostrophe put before it; numbers, which this project writes, are left as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The table with a ``heading``; None is an empty cell."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([safe_cell(name) for name in heading])
    writer.writerows([[safe_cell(value) for value in row] for row in rows])
    return written.getvalue()


def safe_cell(value: object) -> str:
    """``value`` as the text of a cell that is no formula."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_FORMULA) else text
