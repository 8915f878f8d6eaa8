"""Errors of the database become messages with a way out, and leave no changes."""

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader import settings
from dataflix_loader.database import connection as loader_connection
from dataflix_loader.errors import ConflictError, DatabaseError


def count_users(connection: Connection) -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM users")
        return (cursor.fetchone() or (None,))[0]


def test_work_is_committed_at_the_end_and_undone_on_an_error(database: Connection) -> None:
    def insert(name: str, divisor: int) -> float:
        with loader_connection.transaction(settings.load()) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO users (username, email) VALUES (%s, %s)", (name, f"{name}@x"))
            return 1 / divisor

    insert("ann", 1)
    with pytest.raises(ZeroDivisionError):
        insert("bob", 0)
    assert count_users(database) == 1


def test_the_superuser_switches_to_the_owner(database: Connection) -> None:
    with loader_connection.transaction(settings.load()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('is_superuser')")
        assert cursor.fetchone() == ("dataflix_owner", "off")


def test_a_violated_constraint_is_named(database: Connection) -> None:
    with (
        pytest.raises(ConflictError, match="violate the constraint users_email_form of table users"),
        loader_connection.transaction(settings.load()) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("INSERT INTO users (username, email) VALUES ('ann', 'nowhere')")


def test_a_database_without_tables_is_named(database: Connection) -> None:
    elsewhere = settings.load().model_copy(update={"dbname": "postgres"})
    with (
        pytest.raises(DatabaseError, match=r"lacks Dataflix's tables .* postgres/init"),
        loader_connection.transaction(elsewhere) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM users")


def test_the_wait_for_locked_tables_has_a_limit(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_connection, "LOCK_TIMEOUT", "100ms")
    blocker = psycopg2.connect(database.dsn, password=settings.load().admin_password)
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE users")
    try:
        with (
            pytest.raises(DatabaseError, match="Another session locked the tables for more than 100ms"),
            loader_connection.transaction(settings.load()) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("LOCK TABLE users")
    finally:
        blocker.close()


def test_a_wrong_password_is_not_repeated(database: Connection) -> None:
    wrong = settings.load().model_copy(update={"admin_password": "not-the-password"})
    with (
        pytest.raises(DatabaseError, match="password authentication failed") as refused,
        loader_connection.transaction(wrong),
    ):
        pass
    assert "not-the-password" not in str(refused.value)
