"""Policy files on this machine, and the keys in them (transparency formats, section 4.6)."""

from __future__ import annotations

from pathlib import Path

from ledger.core.note import Verifier
from ledger.core.witness_policy import WitnessPolicy, parse_policy
from ledger.errors import FormatError, SettingsError, UsageError
from ledger.vault.cosignatures import CosignatureVerifier


def load_policy(path: Path) -> WitnessPolicy:
    """The policy in the file ``path``; raises SettingsError, which names the line, when it is unusable."""
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"the witness policy {path}: {error.strerror}") from error
    except FormatError as error:
        raise SettingsError(f"the witness policy {path}: {error}") from error


def witness_verifiers(policy: WitnessPolicy) -> dict[str, Verifier]:
    """What verifies the cosignatures of each witness, by the name that the policy gives it."""
    return {witness.name: CosignatureVerifier(witness.key) for witness in policy.witnesses}


def check_logs(policy: WitnessPolicy, log: Verifier) -> None:
    """Raise UsageError where ``policy`` names logs and the one whose key is ``log`` is not among them."""
    named = {(one.key.name, one.key.key_id) for one in policy.logs}
    if named and (log.name, log.key_id) not in named:
        raise UsageError(
            f"the witness policy names logs, and {log.name} under this key is none of them: add its line, or name no logs"
        )
