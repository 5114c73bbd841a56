"""The formats and the rule as pure functions: no clock, randomness, I/O or logging; the standard library alone.

A "no" is a value with its reason, what is broken an exception with the evidence, what cannot be an AssertionError.
"""
