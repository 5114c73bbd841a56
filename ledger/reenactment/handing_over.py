"""The export for the regulator, from the question to its check on another machine (incidents and exports, section 5.5)."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from ledger.core.export_filter import Filter
from ledger.exports.parts import Question
from ledger.exports.sealed_file import open_files
from ledger.reenactment.places import Places
from ledger.vault.recipients import NaclSealing
from ledger.wiring.exports import make_exports
from ledger.wiring.service import Service

ASKED_BY, APPROVED_BY, TAKEN_BY = "operator:ops-1", "operator:privacy-1", "regulator:authority"
CHECK_SECONDS_MAX = 600.0


def hand_over(service: Service, places: Places, incident: str) -> dict[str, Any]:
    """Seal, export, approve, encrypt, open and check; what the check on bare Python said.

    The recipient's key is drawn here and kept nowhere: whoever runs a reenactment has no regulator.
    """
    service.ledger.sealer.seal()
    sealing = NaclSealing(service.randomness)
    private_key = sealing.new_key()
    desk = make_exports(service, service.incidents.export_files)
    question = Question(
        requester="The data-protection authority",
        case="case 2018-1",
        legal_basis="GDPR Art. 58(1)",
        wanted=Filter(incident=incident),
        created_by=ASKED_BY,
        recipients=(sealing.public_of(private_key),),
    )
    made = desk.create(question)
    desk.approve(made.export, APPROVED_BY)
    desk.seal(made.export, ASKED_BY)
    sealed = desk.download(made.export, TAKEN_BY)
    opened = places.file("export")
    with sealed.open("rb") as data:
        open_files(data, private_key, sealing, opened)
    desk.note_opened(made.export, TAKEN_BY)
    vkey = places.file("incident.vkey")
    vkey.write_text(f"{service.ledger.vkey}\n", "ascii")
    # Isolated, without site packages: what an air-gapped machine with Python has.
    command = [sys.executable, "-I", "-S", "data/verify/verify.py", "--vkey", str(vkey.absolute()), "."]
    checked = subprocess.run(  # noqa: S603 - our own script, made a moment ago
        command, cwd=opened, capture_output=True, text=True, check=False, timeout=CHECK_SECONDS_MAX
    )
    return {
        "entries": made.entries,
        "requested_by": ASKED_BY,
        "approved_by": APPROVED_BY,
        "check_exit_status": checked.returncode,
        "check_says": (checked.stdout or checked.stderr).strip().splitlines(),
    }
