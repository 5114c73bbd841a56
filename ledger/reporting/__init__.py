"""Adapters that turn what the verifier and the reenactment found into pages that a person can read.

Pure: a report goes in as the mapping that ``--json`` prints, HTML text comes out. Nothing here reads a clock, a file
outside this package or the network, and no page that it makes does.
"""
