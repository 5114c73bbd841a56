"""The service as the web sees it: a re-export, so that routes name one place."""

from __future__ import annotations

from ledger.wiring.service import Service

__all__ = ["Service"]
