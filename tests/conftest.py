"""What every test runs under: hypothesis' profile, and a PostgreSQL server for those that ask for one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.support.postgresql import (
    migrated_postgresql_url,
    postgresql_server,
    postgresql_url,
    service_postgresql_url,
)

__all__ = ["migrated_postgresql_url", "postgresql_server", "postgresql_url", "service_postgresql_url"]

collect_ignore = [] if os.environ.get("GRANTLEDGER_INTEROP") else ["interop"]
"""Tests with tools that not every machine can have: scripts/interop runs them."""

settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that runs in the tests' own process sends its log to what stands for standard error there, and no longer."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
