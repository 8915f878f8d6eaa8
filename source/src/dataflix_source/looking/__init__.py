"""Looks at a source: its catalog, what is personal, what is missing, and what could describe it."""
