"""How bytes leave the process, and what was seen of where they went (delivery protocol, section 3.5)."""
