"""How each dialect of the public API writes instants (delivery protocol, sections 3.2 and 3.3).

v1.1 writes whole seconds, ``2016-06-02T23:54:02Z``; v2 and the tools of this service write milliseconds,
``2025-01-15T12:00:00.000Z``. The words of errors stand in :mod:`api.problem_kinds` and beside the services that say no.
"""

from __future__ import annotations

from ledger.core.timestamps import format_rfc3339


def format_second(instant_ms: int) -> str:
    """``instant_ms`` as v1.1 writes it, ``2016-06-02T23:54:02Z``; what is beyond seconds is cut off."""
    return f"{format_rfc3339(instant_ms)[:19]}Z"


def format_millisecond(instant_ms: int) -> str:
    """``instant_ms`` as v2 writes it, ``2025-01-15T12:00:00.000Z``."""
    return format_rfc3339(instant_ms)
