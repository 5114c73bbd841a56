"""The witnesses of a policy file, put together: keys, the way to them, and where evidence is kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ledger.durable import sync_directory
from ledger.errors import SettingsError, StoreError, UsageError
from ledger.ports import Clock
from ledger.transparency.cosigning import WitnessCosigning
from ledger.transport.fetching import check_base_url
from ledger.transport.witnesses import HttpWitnessCalls
from ledger.vault.ed25519 import Ed25519Verifier
from ledger.vault.witness_policies import check_logs, load_policy, witness_verifiers

_NAME_DIGITS = 32


def make_cosigning(
    policy_file: Path, verifier: Ed25519Verifier, clock: Clock, *, evidence_directory: Path
) -> WitnessCosigning:
    """What asks the witnesses of ``policy_file`` about the log whose key is ``verifier``; raises SettingsError.

    Evidence goes to ``evidence_directory``, which is made when there is some.
    """
    policy = load_policy(policy_file)
    try:
        check_logs(policy, verifier)
        for witness in policy.witnesses:
            if witness.url is not None:
                check_base_url(witness.url)
    except UsageError as error:
        raise SettingsError(f"{policy_file}: {error}") from error
    if not policy.is_fulfilled({witness.name for witness in policy.witnesses if witness.url is not None}):
        raise SettingsError(
            f"{policy_file}: without the witnesses that have no URL the quorum {policy.quorum!r} cannot be reached"
        )
    return WitnessCosigning(
        policy,
        witness_verifiers(policy),
        HttpWitnessCalls(),
        clock,
        lambda data: keep_evidence(evidence_directory, data),
        log_verifiers=[verifier],
    )


def keep_evidence(directory: Path, data: bytes) -> str:
    """Write ``data`` durably to a file of ``directory`` that is named by its hash; its path, for a person.

    Raises StoreError when it cannot be written.
    """
    path = directory / f"{hashlib.sha256(data).hexdigest()[:_NAME_DIGITS]}.json"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_directory(directory)
    except OSError as error:
        raise StoreError(
            f"evidence against this log cannot be kept in {directory}: {error.strerror}: {data.decode('utf-8', 'replace')}"
        ) from error
    return str(path)
