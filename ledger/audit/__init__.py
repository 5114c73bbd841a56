"""Verification of a ledger: is it one unbroken log, is it the one signed, and was each delivery backed.

The verifier trusts nothing but entry bytes, public keys and an earlier checkpoint. It shares no code with the gate but
``ledger.core``.
"""
