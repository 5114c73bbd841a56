"""The calls of the service, one module a family; each has a ``router``."""
