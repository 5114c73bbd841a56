"""What every suite over both databases begins with: one that is there, one that is filled, an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from ledger.store.engine import open_engine


class DatabaseSuite:
    """A suite; the classes of ``service_databases`` that stand before it say where its database is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError("a suite of a database says where it is")

    @pytest.fixture
    def filled(self) -> Engine:
        raise NotImplementedError("a suite of a database fills it")

    @pytest.fixture
    def engine(self, url: str) -> Iterator[Engine]:
        opened = open_engine(url)
        yield opened
        opened.dispose()
