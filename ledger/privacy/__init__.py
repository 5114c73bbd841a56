"""Erasure, legal holds and retention (ledger format, section 1.2)."""
