"""The public way in: records with the platform's own ids become drafts of entries (ledger format, section 1.6)."""
