"""A consent and data-access ledger: which data went to whom, under which grant, so that nobody can alter it unnoticed.

The packages are layers; each imports only what stands below it (pyproject.toml holds them to that).
"""

from __future__ import annotations

__version__ = "0.4.0"
