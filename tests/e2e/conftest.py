"""Fixtures of the end-to-end tests that more than one file asks for."""

from tests.support.played import played

__all__ = ["played"]
