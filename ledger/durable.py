"""Making a file's name durable.

A file that was written, synced and renamed is there after a power cut only if its directory was synced as well.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the names in the directory ``path`` durable; raises OSError where it cannot be opened or synced."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
