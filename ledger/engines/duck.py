"""The engine for large logs: reading spread over processes, judging swept in DuckDB."""

from __future__ import annotations

import os
from collections.abc import Callable

from ledger.engines.codec import MsgspecCodec
from ledger.engines.reading import ParallelReading
from ledger.engines.scan import GROUP_ENTRIES
from ledger.ports import LogSource

PROCESSES_MAX = 64
"""More have no numbers left for what recurs (:mod:`ledger.engines.recurring`)."""


class DuckEngine:
    """Implements ``ledger.ports.Engine``; ``processes`` None takes as many as there are processors.

    ``group_entries`` is the least number of entries of one layout that are looked at as columns; it decides how long
    reading takes, and nothing else.
    """

    name = "duckdb"

    def __init__(self, processes: int | None = None, group_entries: int = GROUP_ENTRIES) -> None:
        self._group_entries = group_entries
        self._processes = min(processes or len(os.sched_getaffinity(0)), PROCESSES_MAX)

    def read(
        self,
        source: LogSource,
        size: int,
        *,
        with_index: bool,
        with_identities: bool,
        on_progress: Callable[[str, int, int], None],
    ) -> ParallelReading:
        """Begin to read the first ``size`` entries."""
        return ParallelReading(
            source,
            size,
            MsgspecCodec(),
            with_index=with_index,
            with_identities=with_identities,
            processes=self._processes,
            group_entries=self._group_entries,
            on_progress=on_progress,
        )
