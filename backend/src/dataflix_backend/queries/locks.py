"""Statements that must not check at the same time what both of them are about to write."""

from typing import LiteralString


def one_at_a_time(kind: LiteralString, key: LiteralString, sql: LiteralString) -> LiteralString:
    """Return a statement that begins after every other one of the same kind and key has ended.

    A statement sees what was committed before it began, so two at once both find that a row is missing, and
    both write it. Here the lock is a statement of its own before it. Both go to Postgres in one message: one
    round trip and one transaction, at whose end the lock ends.

    Args:
        kind: what is locked; no other kind of lock has this name.
        key: an SQL expression of type text, of the parameters of the statement.
        sql: the statement.
    """
    return f"SELECT pg_advisory_xact_lock(hashtext('{kind}'), hashtext({key}));\n{sql}"
