"""Adapters that keep the log on disk: the database of entries and tiles, and the record of the last signature."""
