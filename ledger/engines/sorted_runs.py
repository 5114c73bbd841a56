"""A growing table of 64-bit keys with a number each, as sorted runs (for a log that is followed as it grows).

Sixteen bytes a key and nothing beside: a batch is sorted and put behind the others, and runs of like lengths are merged, so
that there are few of them and a key is moved about log2(n) times in all. The keys are hashes under a secret, so nobody can
choose them. A key is put in once; whoever adds asks first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]
ABSENT = -1


class SortedRuns:
    """``key -> value``, both of 64 bits, values from 0 up. Not safe for threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._runs: list[tuple[Keys, Keys]] = []

    def __len__(self) -> int:
        """The number of keys."""
        return sum(len(keys) for keys, _ in self._runs)

    def find(self, keys: Keys) -> Keys:
        """The value of each of ``keys``, :data:`ABSENT` where it is not there."""
        found = np.full(len(keys), ABSENT, np.int64)
        for run, values in self._runs:
            at = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            hits = run[at] == keys
            found[hits] = values[at[hits]]
        return found

    def between(self, low: int, high: int) -> list[int]:
        """The values of all keys from ``low`` up to ``high``, both included; in no order."""
        found: list[int] = []
        for run, values in self._runs:
            start, end = np.searchsorted(run, low), np.searchsorted(run, high, side="right")
            found += values[start:end].tolist()
        return found

    def add(self, keys: Keys, values: Keys) -> None:
        """Put in ``keys``, which differ from each other and are not there yet."""
        if not len(keys):
            return
        order = np.argsort(keys)
        run = keys[order], values[order]
        while self._runs and len(self._runs[-1][0]) < 2 * len(run[0]):
            last = self._runs.pop()
            joined = np.concatenate((last[0], run[0]))
            # Stable sorting finds the two ascending runs and merges them.
            order = np.argsort(joined, kind="stable")
            run = joined[order], np.concatenate((last[1], run[1]))[order]
        self._runs.append(run)

    def arrays(self) -> tuple[Keys, Keys]:
        """All keys with their values, to be kept."""
        if not self._runs:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        keys, values = zip(*self._runs, strict=True)
        return np.concatenate(keys), np.concatenate(values)

    @classmethod
    def of_arrays(cls, arrays: Sequence[Keys]) -> SortedRuns:
        """The table that :meth:`arrays` was asked of."""
        made = cls()
        made.add(arrays[0], arrays[1])
        return made
