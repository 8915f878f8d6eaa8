"""Users and movies deleted past the usual triggers: nothing of them stays, and each user is an erasure."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer

SETTING_UP = """
INSERT INTO users (user_id, username, email)
SELECT i, 'user' || i, i || '@example.org' FROM generate_series(1, 3) i;
INSERT INTO movies (movie_id, title) VALUES (1, 'Alien'), (2, 'Heat');
INSERT INTO ratings (user_id, movie_id, rating) SELECT user_id, movie_id, 4 FROM users, movies;
INSERT INTO watched_movies (user_id, movie_id) SELECT user_id, movie_id FROM users, movies;
INSERT INTO user_blocks (user_id, movie_id, owner) SELECT user_id, 1, 'somebody' FROM users;
INSERT INTO feedback (recommendation_id, movie_id, event, user_id, position, model_version, listed_at)
SELECT 'list of ' || user_id, movie_id, 'shown', user_id, 1, '1', now() FROM users, movies;
INSERT INTO access.api_keys (name, scopes, user_id) SELECT username, '{read}', user_id FROM users;
INSERT INTO access.api_key_secrets (secret_hash, key_id)
SELECT sha256(name::bytea), key_id FROM access.api_keys
"""
OF_USERS = ("ratings", "watched_movies", "user_blocks", "feedback", "access.api_keys", "pii.user_pseudonyms")


@pytest.fixture
def people(admin: Connection) -> Iterator[Connection]:
    """Three users with something in every table; a session of the superuser."""
    with admin.cursor() as cursor:
        cursor.execute("DELETE FROM erasures; DELETE FROM pii.former_pseudonyms")
        cursor.execute(SETTING_UP)
    yield admin
    with admin.cursor() as cursor:
        cursor.execute("RESET session_replication_role")
        cursor.execute("DELETE FROM users; DELETE FROM erasures; DELETE FROM pii.former_pseudonyms")


def values(connection: Connection, query: str) -> list[object]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [value for (value,) in cursor.fetchall()]


def run(connection: Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def init(server: PostgresServer) -> None:
    cluster.apply_init(
        host=server.host,
        port=server.port,
        dbname=server.dbname,
        password=server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        environ=server.environ,
    )


def require_erasures(connection: Connection, *users: int) -> None:
    """Nothing of these users is left, and files will be searched for both pseudonyms of each."""
    gone = ",".join(map(str, users))
    for table in OF_USERS:
        assert values(connection, f"SELECT user_id FROM {table} WHERE user_id IN ({gone})") == [], table
    assert values(connection, "SELECT user_id FROM masked._erasures ORDER BY user_id") == list(users)
    assert values(connection, "SELECT count(*) FROM masked._erased_pseudonyms") == [2 * len(users)]


def test_a_delete_that_replicates_takes_everything_along(people: Connection) -> None:
    run(people, "SET session_replication_role = replica", "DELETE FROM users WHERE user_id = 1")
    require_erasures(people, 1)
    assert values(people, "SELECT count(*) FROM access.api_key_secrets") == [2]

    run(people, "DELETE FROM movies WHERE movie_id = 1")
    for table in ("ratings", "watched_movies", "feedback"):
        assert values(people, f"SELECT DISTINCT movie_id FROM {table}") == [2]
    assert values(people, "SELECT count(*) FROM user_blocks") == [0]


@pytest.mark.parametrize("role", ["origin", "replica"])
def test_truncate_erases_all_users(people: Connection, role: str) -> None:
    run(people, f"SET session_replication_role = {role}", "TRUNCATE users CASCADE")
    require_erasures(people, 1, 2, 3)


def test_a_truncate_that_is_rolled_back_erases_nobody(people: Connection) -> None:
    run(people, "BEGIN", "TRUNCATE users CASCADE", "ROLLBACK")
    assert values(people, "SELECT count(*) FROM masked._erasures") == [0]
    assert values(people, "SELECT count(*) FROM masked.users WHERE username_hash IS NOT NULL") == [3]


@pytest.mark.parametrize("triggers", ["ALL", "USER"])
def test_what_changed_without_triggers_is_found_at_the_next_start(
    server: PostgresServer, people: Connection, triggers: str
) -> None:
    before = values(people, "SELECT email_hash FROM masked.users WHERE user_id = 2")
    run(
        people,
        f"ALTER TABLE users DISABLE TRIGGER {triggers}",
        "DELETE FROM users WHERE user_id = 1",
        "UPDATE users SET email = 'new@example.org' WHERE user_id = 2",
        f"ALTER TABLE users ENABLE TRIGGER {triggers}",
    )
    assert values(people, "SELECT email_hash FROM masked.users WHERE user_id = 2") == before

    init(server)

    require_erasures(people, 1)
    assert values(people, "SELECT email_hash FROM masked.users WHERE user_id = 2") != before
    run(people, "DELETE FROM users WHERE user_id = 3")
    assert values(people, "SELECT user_id FROM masked._erasures ORDER BY user_id") == [1, 3]


def test_every_foreign_key_deletes_in_every_session(people: Connection) -> None:
    silent = values(
        people,
        "SELECT k.conname FROM pg_trigger AS t JOIN pg_constraint AS k ON t.tgconstraint = k.oid"
        " WHERE k.contype = 'f' AND t.tgrelid = k.confrelid AND k.confdeltype = 'c' AND t.tgenabled <> 'A'"
        " AND t.tgfoid = '\"RI_FKey_cascade_del\"'::regproc",
    )
    assert silent == []
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        run(people, "INSERT INTO ratings (user_id, movie_id, rating) VALUES (99, 1, 3)")
