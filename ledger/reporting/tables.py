"""Tables as CSV (RFC 4180) that a spreadsheet shows and does not run.

What a safe cell is, :mod:`ledger.core.cells` says.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from ledger.core.cells import safe_cell

__all__ = ["safe_cell", "write_csv"]


def write_csv(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The table with a ``heading``; None is an empty cell."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([safe_cell(name) for name in heading])
    writer.writerows([[safe_cell(value) for value in row] for row in rows])
    return written.getvalue()
