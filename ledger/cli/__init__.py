"""The command line: one file per noun, of which only :mod:`ledger.cli.output` prints.

Commands translate between people and :mod:`ledger.wiring`; they decide nothing. What is slow to import is
imported inside the commands, so that help and mistakes are answered at once.
"""
