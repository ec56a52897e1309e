"""Revisions, oldest first. The number is that of the schema."""
