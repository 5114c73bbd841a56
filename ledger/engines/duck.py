"""The engine for large logs: reading spread over processes, judging swept in DuckDB."""

from __future__ import annotations

import os
from collections.abc import Callable

from ledger.engines.codec import MsgspecCodec
from ledger.engines.reading import ParallelReading
from ledger.ports import LogSource


class DuckEngine:
    """Implements ``ledger.ports.Engine``; ``processes`` None takes as many as there are processors."""

    name = "duckdb"

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes or len(os.sched_getaffinity(0))

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
            on_progress=on_progress,
        )
