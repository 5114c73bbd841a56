"""One served service for a module of tests; each test makes apps of its own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.service_world import ServiceWorld


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    """A served ledger with receivers; nothing is dispatched by itself."""
    with ServiceWorld(tmp_path_factory.mktemp("service")) as made:
        made.serve()
        yield made
