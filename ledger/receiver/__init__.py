"""A webhook receiver for trying the service out on one machine, and an example of what a developer has to do.

It answers challenges, checks every signature that comes with a delivery, and shows what arrived.
"""
