"""Every way to tamper with a bundle, and the code with which both checkers refuse it: the core's and the portable one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.core.jcs import encode_file
from ledger.core.proof_files import Known, check_proof_file, code_of
from ledger.errors import LedgerError
from ledger.portable import build
from ledger.vault.ed25519 import from_seed, verify_ed25519
from tests.support.proof_samples import samples
from tests.support.tampered_proofs import TAMPERED

SCRIPT: dict[str, Any] = {"__name__": "portable_verify"}
"""The portable checker, which shares nothing with the project."""
exec(compile(Path(build.__file__).with_name("verify.py").read_text("utf-8"), "verify.py", "exec"), SCRIPT)


def refusals(data: bytes, vkey: str | None = None, key: str | None = None) -> tuple[str | None, str | None]:
    """The codes with which the core and the script refuse ``data``; None where they do not."""
    found: list[str | None] = [None, None]
    try:
        check_proof_file(data, Known(vkey or samples().vkey, key), verify_ed25519)
    except LedgerError as error:
        found[0] = code_of(error)
    try:
        SCRIPT["check_proof_file"](
            data, SCRIPT["Known"](vkey or samples().vkey, key), SCRIPT["verify_ed25519"]
        )
    except SCRIPT["LedgerError"] as error:
        found[1] = SCRIPT["code_of"](error)
    return found[0], found[1]


@pytest.mark.parametrize(("data", "code"), [pytest.param(d, c, id=name) for name, d, c in TAMPERED])
def test_a_tampered_proof_is_refused_with_its_code_by_both_checkers(data: bytes, code: str) -> None:
    assert refusals(data) == (code, code)


@pytest.mark.parametrize(
    "name", ["account", "opened", "page", "news", "pair", "absent", "grown", "grown-unsigned", "entry"]
)
def test_both_checkers_take_what_was_not_tampered_with(name: str) -> None:
    assert refusals(samples().files[name]) == (None, None)


def test_a_bundle_about_another_key_than_asked_for_is_refused_by_both() -> None:
    assert refusals(samples().files["account"], key="acct:a_other") == ("OTHER_KEY", "OTHER_KEY")


def test_a_fork_with_the_same_size_is_refused_by_both() -> None:
    from ledger.core.checkpoint import Checkpoint, sign_checkpoint

    signer = from_seed("ledger.example/fork", bytes(32))
    notes = [
        sign_checkpoint(Checkpoint(signer.name, 5, root * 32), [signer]).decode()
        for root in (b"\x01", b"\x02")
    ]
    bundle = {"vkey": signer.vkey(), "checkpoint": notes[0], "old_checkpoint": notes[1], "proof": []}
    data = encode_file(bundle)  # type: ignore[arg-type]
    assert refusals(data, vkey=signer.vkey()) == ("CHECKPOINT_INCONSISTENT", "CHECKPOINT_INCONSISTENT")
