"""Loads of one table: full or incremental, staged, reconciled with the source, then published."""
