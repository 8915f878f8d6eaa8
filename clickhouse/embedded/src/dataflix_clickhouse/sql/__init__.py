"""Reads the text of SQL statements: tokens, clauses, scripts."""
