"""Somebody else's look at a log, again and again (`grantledger monitor`): everything a verification finds, as it happens.

A process of its own, with a state of its own, that opens no ledger and needs no key of one. It reads what the log publishes,
over HTTP or from a directory, and tells what it finds as lines of JSON and as metrics.
"""
