"""Rotation of the key: no old pseudonym stays, neither key is shown, and no crash loses a key."""

import hmac
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_ops.key_rotation import pii_key, rotation
from dataflix_ops.key_rotation import postgres as key_store
from dataflix_ops.key_rotation.errors import RotationError
from dataflix_ops.key_rotation.rotation import finish, rotate
from dataflix_testkit import ClickHouseServer, PostgresServer, clickhouse, postgres
from dataflix_testkit.process import ROOT

USERS = 50
OLD = "SELECT username_hash, email_hash FROM pii.user_pseudonyms ORDER BY user_id"


@dataclass
class World:
    """Both databases with users, and a .env that fits."""

    source: PostgresServer
    target: ClickHouseServer
    env_file: Path
    connection: Connection
    client: Any
    said: list[str]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def reload(self) -> None:
        """Do a full load of the table, and build the one mart that matters here, as the pipeline does."""
        command = [str(ROOT / "airflow" / ".venv" / "bin" / "elt"), "load", "--full", "--table", "users"]
        environ = {**os.environ, **self.source.environ, **self.target.environ}
        subprocess.run(command, env=environ, check=True, capture_output=True, timeout=120)
        self.client.command("DROP TABLE IF EXISTS analytics.dim_users")
        self.client.command(
            "CREATE TABLE analytics.dim_users ENGINE = MergeTree ORDER BY user_id"
            " AS SELECT user_id, username_hash, email_hash FROM raw.users"
        )


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgresServer, ClickHouseServer]]:
    with postgres() as source, clickhouse() as target:
        yield source, target


@pytest.fixture
def world(servers: tuple[PostgresServer, ClickHouseServer], tmp_path: Path) -> Iterator[World]:
    """The shared servers with new users. The key is the one that the test before has left."""
    source, target = servers
    env_file = tmp_path / ".env"
    env_file.write_text(f"# Secrets\nA=1\nDATAFLIX_PII_KEY={source.environ['DATAFLIX_PII_KEY']}\nB=2\n")
    connection = psycopg2.connect(source.dsn("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE users RESTART IDENTITY CASCADE")
        cursor.execute(
            "INSERT INTO users (username, email) SELECT 'u' || i, 'u' || i || '@example.org'"
            f" FROM generate_series(1, {USERS}) AS i"
        )
    client = target.client("dataflix_admin", autogenerate_session_id=False)
    made = World(source, target, env_file, connection, client, [])
    yield made
    made.connection.rollback()
    made.rows("ALTER ROLE postgres RESET ALL")
    for path in (env_file, pii_key.next_path(env_file)):
        if path.exists() and key_store.has_key(made.connection, pii_key.read_key(path)):
            source.environ["DATAFLIX_PII_KEY"] = pii_key.read_key(path)
    client.command("DROP TABLE IF EXISTS analytics.copy SYNC")
    made.connection.close()


def test_no_old_pseudonym_and_no_key_remains(world: World) -> None:
    world.reload()
    before, old_key = world.rows(OLD), pii_key.read_key(world.env_file)
    # An administrator who logs as much as possible during the rotation.
    log = world.source.data.parent / "postgres.log"
    world.rows("ALTER ROLE postgres SET log_statement = 'all'")
    world.rows("ALTER ROLE postgres SET log_min_duration_statement = 0")
    world.rows("ALTER ROLE postgres SET log_min_messages = 'debug1'")
    world.connection.close()
    world.connection = psycopg2.connect(world.source.dsn("postgres"))

    rotate(world.env_file, world.connection, world.said.append)
    finish(world.connection, world.client, world.reload, world.said.append)

    after, new_key = world.rows(OLD), pii_key.read_key(world.env_file)
    assert len(after) == USERS
    assert not {hash_ for row in before for hash_ in row} & {hash_ for row in after for hash_ in row}
    held = world.client.query(
        "SELECT username_hash, email_hash FROM raw.users FINAL ORDER BY user_id"
    ).result_rows
    assert [tuple(row) for row in held] == after
    assert not pii_key.next_path(world.env_file).exists()
    assert world.env_file.stat().st_mode & 0o777 == 0o600
    assert world.env_file.read_text().startswith("# Secrets\nA=1\n")
    logged = log.read_text()
    assert "COPY next_key FROM STDIN" in logged
    for key in (old_key, new_key):
        padded = bytes.fromhex(key).ljust(64, b"\0")
        shown = [key, *(bytes(byte ^ mask for byte in padded).hex()[:64] for mask in (0x36, 0x5C))]
        assert not [text for text in shown if text in logged + "".join(world.said)]
    # The next start finds the key that the database has.
    assert key_store.has_key(world.connection, new_key)
    assert not key_store.has_key(world.connection, old_key)


@pytest.mark.parametrize("at", ["change_key", "activate_next"])
def test_an_interrupted_rotation_continues(world: World, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(*((key_store, at, die) if at == "change_key" else (pii_key, at, die)))
        with pytest.raises(KeyboardInterrupt):
            rotate(world.env_file, world.connection, world.said.append)
    world.connection.rollback()
    keys = {pii_key.read_key(path) for path in (world.env_file, pii_key.next_path(world.env_file))}
    assert len(keys) == 2
    assert sum(key_store.has_key(world.connection, key) for key in keys) == 1

    rotate(world.env_file, world.connection, world.said.append)

    assert key_store.has_key(world.connection, pii_key.read_key(world.env_file))
    assert not pii_key.next_path(world.env_file).exists()


def test_a_user_who_joins_during_the_rotation_gets_the_new_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = psycopg2.connect(world.source.dsn("dataflix_backend"))
    # Not yet committed when the rotation begins, so it has to wait.
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('late', 'late@example.org')")
        world.rows("SET lock_timeout = '500ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            rotate(world.env_file, world.connection, world.said.append)
    world.connection.rollback()
    other.commit()
    rotate(world.env_file, world.connection, world.said.append)
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('later', 'later@example.org')")
    other.commit()
    other.close()
    key = bytes.fromhex(pii_key.read_key(world.env_file))
    expected = {
        hmac.new(key, f"username:{name}".encode(), "sha256").hexdigest() for name in ("late", "later")
    }
    assert expected <= key_store.pseudonyms(world.connection)


def test_remaining_old_pseudonyms_are_named(world: World) -> None:
    world.reload()
    world.client.command(
        "CREATE TABLE analytics.copy ENGINE = MergeTree ORDER BY user_id AS SELECT * FROM raw.users"
    )
    rotate(world.env_file, world.connection, world.said.append)
    with pytest.raises(RotationError, match=rf"{USERS} in analytics\.copy\.username_hash"):
        finish(world.connection, world.client, world.reload, world.said.append)


def test_an_env_file_of_another_database_is_refused(world: World) -> None:
    world.env_file.write_text(f"DATAFLIX_PII_KEY={'ab' * 32}\n")
    before = world.rows(OLD)
    with pytest.raises(RotationError, match="is not the one"):
        rotation.rotate(world.env_file, world.connection, world.said.append)
    assert world.rows(OLD) == before
