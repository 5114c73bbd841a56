"""The delivery service without its edges: what may be sent, to whom, and what became of it (delivery protocol)."""
