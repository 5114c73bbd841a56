"""One service over HTTP for each test that asks for it: who calls is told apart by what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.foundation.probes import add_probes
from tests.api.foundation.world import WebWorld, make_template, open_web_world


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger to be copied for each test."""
    directory = tmp_path_factory.mktemp("template")
    make_template(directory)
    return directory


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Iterator[WebWorld]:
    """A service of the test's own."""
    with open_web_world(template, tmp_path, extend=add_probes) as opened:
        yield opened
