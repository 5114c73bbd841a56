"""Cells of a table as text that a spreadsheet shows and does not run (RFC 4180; exports, section 5.5).

A cell that a spreadsheet could take for a formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break,
spaces before it or not, has an apostrophe put before it. Numbers, which this project writes, are left as they are. A
spreadsheet that takes another mark than the comma for the end of a cell could find a formula inside of one; so an
apostrophe stands between ``;``, a tab or a line break and such a sign, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_match_formula = re.compile("[ ]*[=+@\t\r\n-]").match
_insert_inside = re.compile("([;\t\r\n][ ]*)(?=[=+@-])").sub
_search_odd = re.compile('^[ ]*[=+@\t\r\n-]|[",;\t\r\n]').search
_search_special = re.compile('[",;\t\r\n]').search


def safe_cell(value: object) -> str:
    """``value`` as the text of a cell that is no formula; None is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = str(value)
    inside = _insert_inside(r"\1'", text) if _search_special(text) else text
    return f"'{inside}" if _match_formula(text) else inside


def format_row(values: Iterable[object]) -> str:
    """The row of ``values`` without its line break: safe cells with commas between, quoted where that is needed."""
    return ",".join(["" if value is None else _format_cell(value) for value in values])


def _format_cell(value: object) -> str:
    # Nearly every cell is plain, and one search tells.
    if type(value) is str and not _search_odd(value):
        return value
    cell = safe_cell(value)
    return '"' + cell.replace('"', '""') + '"' if _search_special(cell) else cell
