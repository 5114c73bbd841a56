"""The one writer of a log: append, gate, seal, recover (ledger format, sections 1.1, 1.3 and 1.5)."""
