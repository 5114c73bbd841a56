"""What an import says of records that were rejected."""

from __future__ import annotations

import pytest

from ledger.cli.imports import Tally, _explain_rejects
from ledger.cli.output import Output
from ledger.ingest.importer import ImportReport


@pytest.mark.parametrize(
    ("appended", "said"), [(True, "everything else went in"), (False, "nothing of that file went in")]
)
def test_what_is_told_to_be_in_is_what_went_in(
    capsys: pytest.CaptureFixture[str], appended: bool, said: str
) -> None:
    report = ImportReport(records=2, created=int(appended), rejected=1, appended=appended)
    _explain_rejects(Output(), Tally([("a.jsonl", report)], [], 1), None)
    assert said in capsys.readouterr().err
