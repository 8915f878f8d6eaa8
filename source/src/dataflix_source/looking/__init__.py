"""Looks at a source: its catalog, what is personal in it, what is missing, and what a description could be."""
