"""The files that development settings name: certificates to trust, and hosts that are on this machine."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import SettingsError
from ledger.transport.overrides import HostOverrides


def load_overrides(text: str | None) -> HostOverrides | None:
    """The overrides that ``text`` is, or that are in the file that it names; None without one."""
    if text is None:
        return None
    return HostOverrides.parse(text) if "=" in text else HostOverrides.load(Path(text).expanduser())


def read_ca(path: Path | None) -> str | None:
    """The certificates in the file ``path``, None without one; raises SettingsError where it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"GRANTLEDGER_TRUSTED_CA: {path} cannot be read: {error}") from error
