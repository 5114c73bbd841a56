"""docs/check-us.md against the code: its examples are made again, checked, and every code of a refusal is explained."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.core.proof_files import Known, check_proof_file
from ledger.vault.ed25519 import verify_ed25519
from tests.support.check_us_examples import make_examples
from tests.support.proof_samples import samples
from tests.support.tampered_proofs import TAMPERED

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "check-us.md").read_text("utf-8")


def shown() -> dict[str, str]:
    """Name -> text of the blocks behind ``<!-- example: NAME -->``."""
    return dict(re.findall(r"<!-- example: (\w+) -->\n```\w+\n(.*?)\n```", PAGE, re.DOTALL))


def test_every_example_is_what_the_code_makes() -> None:
    assert shown() == make_examples()


def test_the_files_of_the_page_are_proven() -> None:
    for name in ("absent", "grown"):
        assert check_proof_file(shown()[name].encode(), Known(samples().vkey), verify_ed25519).is_trusted


def test_every_code_of_a_refusal_is_explained() -> None:
    raised = {code for _, _, code in TAMPERED}
    for path in (ROOT / "ledger" / "core").glob("*.py"):
        raised |= set(re.findall(r'Error\([^"]*"[^"]*",\s*"([A-Z_]{6,})"', path.read_text("utf-8")))
    explained = set(re.findall(r"`([A-Z_]{6,})`", PAGE))
    assert raised - explained == set()
