"""Secrets and who is who: signing keys, tags, subject keys and salts (ledger format, section 1.2)."""
