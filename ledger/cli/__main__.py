"""``python -m ledger.cli`` is ``grantledger``."""

from __future__ import annotations

from ledger.cli.app import main

main()
