"""Standard output of ``grantledger stream``: when its reader has the events, and what a killed run left (section 5.5)."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import sys
import termios
import time
from io import SEEK_END

POLL_SECONDS = 0.002
TAIL_BYTES_MAX = 1 << 22
_HEADS = (b'{"specversion":', b'{"activity_id":')
"""How the line of an event begins."""


def wait_until_taken() -> bool:
    """Wait until a file has what was written for good, or a pipe's reader has read it; False where the reader is gone.

    What a reader holds when it dies is its own business; what still lies in the pipe is not. Anything else, such as a
    terminal, has it when it is written.
    """
    descriptor = sys.stdout.fileno()
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        os.fsync(descriptor)
    if not stat.S_ISFIFO(mode):
        return True
    watched = select.poll()
    watched.register(descriptor, 0)
    while _waiting_bytes(descriptor):
        # The other end is closed: nobody will ever read the rest.
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll(0)):
            return False
        time.sleep(POLL_SECONDS)
    return True


def mend_file() -> None:
    """End the last line of standard output, where that is a file, so that what is written next is a line of its own.

    Half an event is cut off: it is written again. Whatever else does not end gets its line feed.
    """
    descriptor = sys.stdout.fileno()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    size = os.fstat(descriptor).st_size
    try:
        # Opened anew, because standard output itself is there to be written to alone.
        with open(f"/dev/fd/{descriptor}", "rb") as opened:  # noqa: PTH123 - no path of a file
            opened.seek(-min(size, TAIL_BYTES_MAX), SEEK_END)
            tail = opened.read(TAIL_BYTES_MAX).rpartition(b"\n")[2]
    except OSError:
        return
    if not tail or os.lseek(descriptor, 0, os.SEEK_CUR) not in (0, size):
        return
    if any(tail.startswith(head) or head.startswith(tail) for head in _HEADS):
        os.ftruncate(descriptor, size - len(tail))
        os.lseek(descriptor, 0, SEEK_END)
    else:
        os.write(descriptor, b"\n")


def _waiting_bytes(descriptor: int) -> int:
    """How many bytes lie in a pipe; 0 where the system does not tell."""
    try:
        told = fcntl.ioctl(descriptor, termios.FIONREAD, struct.pack("i", 0))
    except OSError:
        return 0
    return int(struct.unpack("i", told)[0])
