"""A witness of logs: a process, a key and a database of its own, which sees that a log only grows (tlog-witness).

It knows of this project's logs what it knows of any other's: origin, key, checkpoints and proofs, and no entry.
"""
