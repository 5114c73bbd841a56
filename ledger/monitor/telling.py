"""What a monitor says: lines of JSON, each told once, to a file or to whoever reads its standard output."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ledger.store.findings_file import FindingsFile, number_line
from ledger.store.monitor_book import MonitorBook


class Teller:
    """Tells what the book has to tell; safe from any number of threads.

    A file holds each line exactly once, whatever kills the process. Whoever reads standard output may see the last lines
    again after a crash: their numbers say so.
    """

    def __init__(self, book: MonitorBook, file: FindingsFile | None, say: Callable[[bytes], None]) -> None:
        """To ``file``, or where there is none by ``say``, which returns when the bytes are out.

        A file that another book's lines are in is gone on with: numbers go on from its last line.
        """
        if file is not None:
            own = dict(book.untold()).get(file.last)
            book.begin_after(file.last, is_others=own is not None and not file.is_last(file.last, own))
        self._book = book
        self._file = file
        self._say = say
        self._lock = threading.Lock()

    def tell(self) -> int:
        """Tell everything that has not been told; how many lines that were."""
        with self._lock:
            lines = self._book.untold()
            if not lines:
                return 0
            if self._file is not None:
                self._file.append(lines)
            else:
                self._say(b"".join(number_line(number, line) for number, line in lines))
            self._book.mark_told(lines[-1][0])
            return len(lines)
