"""Files that hold a secret: only their owner may read them, and they are made once and never replaced.

No error text repeats what a file holds.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ledger.durable import sync_directory
from ledger.errors import SettingsError

FILE_BYTES_MAX = 1_024


def read_private_file(path: Path, name: str) -> bytes:
    """What the file ``path`` holds, at most ``FILE_BYTES_MAX`` bytes; ``name`` says in errors what it is.

    Raises SettingsError when it cannot be read or is not a regular file of this user's alone (mode 0600 or
    0400).
    """
    try:
        # Opened first and examined through the descriptor, so that nobody can put another file in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SettingsError(f"{name} {path} is not there: put it back, or name another one") from None
    except OSError as error:
        raise SettingsError(f"{name} {path} cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"{name} {path} is not a regular file")
        if found.st_mode & 0o077:
            raise SettingsError(
                f"{name} {path} can be read or changed by others (mode {stat.S_IMODE(found.st_mode):04o}): "
                f"run `chmod 600 {path}`, and replace the key if others were there"
            )
        data = os.read(descriptor, FILE_BYTES_MAX + 1)
    finally:
        os.close(descriptor)
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"{name} {path} is longer than any key: name the right file")
    return data


def create_private_file(path: Path, data: bytes, name: str) -> None:
    """Write ``data`` durably to the new file ``path`` (mode 0600), which appears whole or not at all.

    Raises SettingsError when there is a file already, whatever it holds, or when it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, never takes the place of a file that is there.
            os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError:
        raise SettingsError(f"{name} {path} is there already; it is never replaced") from None
    except OSError as error:
        raise SettingsError(f"{name} {path} cannot be written: {error.strerror}") from error
