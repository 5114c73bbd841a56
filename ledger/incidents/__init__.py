"""Incidents, what people and authorities are told of them, and what developers must delete (sections 5.1 to 5.4)."""
