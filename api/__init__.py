"""The web service: HTTP in front of the ledger. It imports ``ledger``; nothing there imports it."""

from __future__ import annotations
