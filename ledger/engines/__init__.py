"""Faster executions of what ``ledger.core`` defines: the entry codec, and the set-based judging of deliveries.

Nothing here decides anything new. Each module repeats a definition of the core at speed and is tested against it.
"""
