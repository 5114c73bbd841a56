"""Names of files in an export: relative, plain, and the same file on every system (exports, section 5.5).

A name comes from a stranger. It must not lead out of the directory that it is unpacked or looked up in, name a device, or be
another name for a file that is there, on whatever system it is used: so only few characters are allowed, and two names that
differ in case alone are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ledger.core.strict import shown
from ledger.errors import FormatError

PATH_CHARACTERS_MAX = 200
PARTS_MAX = 6

_match_part = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}").fullmatch
_match_device = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?").fullmatch


def check_path(path: str) -> str:
    """``path`` where it can name a file in an export: parts of letters, digits, ``.``, ``_``, ``-``, with ``/`` between."""
    parts = path.split("/")
    if len(path) > PATH_CHARACTERS_MAX or len(parts) > PARTS_MAX:
        raise FormatError(f"{shown(path)} is longer than the name of any file of an export")
    for part in parts:
        if not _match_part(part) or part.endswith(".") or _match_device(part):
            raise FormatError(f"{shown(path)} is not the name of a file of an export")
    return path


def check_paths(paths: Iterable[str]) -> None:
    """Raise FormatError unless each of ``paths`` is a name, and no two are the same on a system that ignores case."""
    taken = set()
    for path in paths:
        folded = check_path(path).lower()
        if folded in taken:
            raise FormatError(f"{shown(path)} is there twice, or under two names that differ in case alone")
        taken.add(folded)
