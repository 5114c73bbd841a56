"""Exports that a stranger can verify offline, and streams and tables of any view (incidents and exports, section 5.5)."""
