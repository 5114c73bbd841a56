"""A misdelivery on purpose in a running service, and how long everybody took to notice (delivery protocol, section 3.7).

The dispatcher of 2018 once more, for one request: an event that was permitted for one developer goes, over a real
connection, to another one. Everybody in it is made up for it and called a drill; nothing else about it is. No part of the
ledger knows that there are drills: what one leaves in a log is an exposure like any other (decision 0026).
"""
