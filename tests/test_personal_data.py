"""Personal data of marked users pass through the whole stack; only Postgres' own files may contain them."""

import base64
import gzip
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import clickhouse_connect
import psycopg2
import pytest
import requests
from psycopg2.extras import execute_values

from dataflix_testkit import leak_search
from dataflix_testkit.leak_search import MARKER, marked_user
from dataflix_testkit.long_mode import short_or_long
from dataflix_testkit.process import ROOT
from dataflix_testkit.stack import Stack
from dataflix_testkit.superset_requests import SupersetClient, send_text_everywhere

USERS = short_or_long(300, 10_000)
RATINGS_EACH = 8
# The databases of other services in Postgres must not contain personal data either.
SERVICE_DATABASES = ("superset", "airflow", "mlflow")
# The folders below DATAFLIX_HOME that may contain personal data.
POSTGRES_FOLDER = frozenset({"postgres"})
FIRST_ID = 7_313_373_100_000


def send_name_to_superset(stack: Stack) -> None:
    """Send a username to Superset: in filters, expressions, errors, and to SQL Lab, which would store it."""
    stack.wait_for_superset()
    client = SupersetClient(stack.url("SUPERSET"), stack.settings["DATAFLIX_SUPERSET_ADMIN_PASSWORD"])
    statuses = {
        attempt.what: attempt.status for attempt in send_text_everywhere(client, marked_user(3)["username"])
    }
    assert statuses["a filter"] == statuses["the same from the cache"] == 200
    assert statuses["SQL Lab"] == 403


def dsn(stack: Stack, database: str) -> str:
    port, password = (stack.settings[f"DATAFLIX_POSTGRES_{name}"] for name in ("PORT", "ADMIN_PASSWORD"))
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/{database}"


def postgres(stack: Stack, role: str = "postgres", password: str = "ADMIN") -> Any:
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=stack.settings["DATAFLIX_POSTGRES_PORT"],
        dbname="dataflix",
        user=role,
        password=stack.settings[f"DATAFLIX_POSTGRES_{password}_PASSWORD"],
    )
    connection.autocommit = True
    return connection


def add_users(stack: Stack) -> None:
    """Insert the marked users, with ratings and watches."""
    with postgres(stack) as connection, connection.cursor() as cursor:
        rows = [(FIRST_ID + number, *marked_user(number).values()) for number in range(USERS)]
        execute_values(
            cursor, "INSERT INTO users (user_id, username, email, first_name, last_name) VALUES %s", rows
        )
        for table, columns in (
            ("ratings", "user_id, movie_id, rating) SELECT user_id, movie_id, 4.5"),
            ("watched_movies", "user_id, movie_id) SELECT user_id, movie_id"),
        ):
            cursor.execute(
                f"INSERT INTO {table} ({columns} FROM users CROSS JOIN LATERAL (SELECT movie_id FROM movies"
                f" ORDER BY md5(movie_id::text || user_id % 40) LIMIT {RATINGS_EACH}) AS chosen"
                f" WHERE user_id >= {FIRST_ID}"
            )


def ask(stack: Stack, method: str, path: str, **options: Any) -> int:
    headers = {"X-API-Key": stack.settings["DATAFLIX_API_KEY"], **options.pop("headers", {})}
    answer = requests.request(method, stack.url("BACKEND") + path, headers=headers, timeout=30, **options)
    return answer.status_code


def cause_errors(stack: Stack) -> None:
    """Cause every kind of error with personal data in the request."""
    new, old, known = marked_user(USERS + 1), marked_user(1), FIRST_ID + 1
    assert ask(stack, "POST", "/users", json=new) == 201
    assert ask(stack, "POST", "/users", json=new) == 409
    assert ask(stack, "POST", "/users", json=new | {"username": old["username"].upper()}) == 409
    assert ask(stack, "POST", "/users", json=new | {"email": MARKER}) == 422
    assert ask(stack, "POST", "/users", json=new | {MARKER: 1}) == 422
    assert ask(stack, "POST", "/users", json=new | {"city": MARKER * 50}) == 422
    assert ask(stack, "POST", "/users", json=new | {"birth_year": MARKER}) == 422
    json_type = {"Content-Type": "application/json"}
    assert ask(stack, "POST", "/users", data=json.dumps(new)[:-1], headers=json_type) == 400
    assert ask(stack, "POST", "/users", data=json.dumps(new)) == 415
    for path in (
        f"/users/{new['email']}",
        f"/users/{MARKER}/blocks",
        f"/recommendations/{MARKER}",
        f"/{MARKER}",
    ):
        assert ask(stack, "GET", path) == 404
    assert ask(stack, "GET", f"/users?q={MARKER}") == 200
    assert ask(stack, "GET", f"/users?limit={MARKER}") == 400
    assert ask(stack, "GET", f"/users?{MARKER}=1") == 400
    assert ask(stack, "DELETE", f"/users/{MARKER}") == 404
    assert ask(stack, "GET", "/users", headers={"X-API-Key": MARKER}) == 401
    assert (
        ask(stack, "GET", "/users/1", headers={"Referer": f"http://{MARKER}/", "User-Agent": MARKER}) == 200
    )
    block = {"movie_id": 1, "owner": new["email"]}
    assert ask(stack, "POST", f"/users/{known}/blocks", json=block) in (200, 201)
    feedback = {"recommendation_id": MARKER, "movie_id": 1, "event": "shown", "position": 1, "user_id": known}
    assert ask(stack, "POST", "/feedback", json=feedback) == 422
    assert ask(stack, "GET", f"/users/{known}/export") == 200
    assert ask(stack, "GET", f"/recommendations/{known}?n=5") == 200
    # Invalid HTTP, which reaches only the server in front of the application.
    address = ("127.0.0.1", int(stack.settings["DATAFLIX_BACKEND_PORT"]))
    for line in (f"GET /{MARKER} HTTP/9.9", f"{MARKER} / HTTP/1.1", f"GET / HTTP/1.1\r\n{MARKER} : \0"):
        with socket.create_connection(address, timeout=10) as raw:
            raw.sendall(line.encode() + b"\r\nHost: x\r\n\r\n")
            raw.recv(4096)
    for statement in (
        f"INSERT INTO users (username, email) VALUES ('{new['username']}', 'x@{MARKER}')",
        f"INSERT INTO users (username, email) VALUES ('a b {MARKER}', 'x@{MARKER}')",
        f"INSERT INTO ratings (user_id, movie_id, rating) VALUES ({known}, 1, '{MARKER}')",
        f"SELECT '{new['email']}'::int",
        f"SELECT {MARKER} FROM users WHERE email = '{new['email']}'",
    ):
        with (
            pytest.raises(psycopg2.Error),
            postgres(stack, "dataflix_backend", "BACKEND") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def elt(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command `elt`."""
    command = [str(ROOT / "airflow" / ".venv" / "bin" / "elt"), *words]
    environ = {**os.environ, **stack.settings, "DATAFLIX_HOME": str(stack.home)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)


def fail_a_load(stack: Stack) -> None:
    """Give a marked user a date that the warehouse cannot store, so that a load fails at that row.

    A row of an older database can have such a date: the table's rule holds for rows that are written now.
    """
    rule = "users_created_at_range"
    connection = postgres(stack)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", (rule,))
        (definition,) = cursor.fetchone()
        cursor.execute(f"ALTER TABLE users DROP CONSTRAINT {rule}")
        cursor.execute(f"UPDATE users SET created_at = '1700-01-01' WHERE user_id = {FIRST_ID}")
        refused = elt(stack, "load", "--table", "users")
        cursor.execute(f"UPDATE users SET created_at = now() WHERE user_id = {FIRST_ID}")
        cursor.execute(f"ALTER TABLE users ADD CONSTRAINT {rule} {definition}")
    connection.close()
    assert refused.returncode == 1
    assert "1 in created_at" in refused.stderr
    assert MARKER not in (refused.stdout + refused.stderr).lower()


def text_columns(stack: Stack) -> list[tuple[str, str]]:
    """Return the ClickHouse columns (table, name) that contain the marker."""
    client = clickhouse_connect.get_client(
        host="127.0.0.1",
        port=int(stack.settings["DATAFLIX_CLICKHOUSE_PORT"]),
        username="dataflix_admin",
        password=stack.settings["DATAFLIX_CLICKHOUSE_ADMIN_PASSWORD"],
    )
    columns = client.query(
        "SELECT c.database || '.' || c.table, c.name FROM system.columns AS c INNER JOIN system.tables AS t"
        " ON c.database = t.database AND c.table = t.name"
        " WHERE c.database IN ('raw', 'analytics') AND c.type LIKE '%String%' AND t.engine != 'View'"
    ).result_rows
    assert len(columns) > 50
    return [
        (table, name)
        for table, name in columns
        if client.query(
            f"SELECT count() FROM {table} WHERE positionCaseInsensitive(toString({name}), '{MARKER}') > 0"
        ).result_rows[0][0]
    ]


def test_the_search_finds_every_encoding(tmp_path: Path) -> None:
    """Without this, the tests below would prove nothing."""
    text = f"x {marked_user(1)['email'].upper()} y"
    hidden = {
        "plain.log": text.encode(),
        "wide": text.lower().encode("utf-16-le"),
        "escaped": "".join(f"%{byte:02X}" for byte in text.lower().encode()).encode(),
        "hex": text.lower().encode().hex().encode(),
        "packed.gz": gzip.compress(text.encode()),
    }
    for shift in range(3):
        hidden[f"coded{shift}"] = base64.b64encode(b"?" * shift + text.encode())
    for name, content in hidden.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / f"{MARKER}.txt").write_text("only in the file name")
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "own").write_text(text)
    found = leak_search.find_in_files(tmp_path, exclude=POSTGRES_FOLDER)
    assert {entry.split(":")[0] for entry in found} == {*hidden, f"{MARKER}.txt"}


@pytest.mark.timeout(1800)
def test_personal_data_stay_in_postgres(stack: Stack) -> None:
    add_users(stack)
    cause_errors(stack)
    fail_a_load(stack)
    run = stack.command("run.sh", "pipeline")
    assert run.returncode == 0, run.stderr
    assert MARKER not in (run.stdout + run.stderr).lower()
    shown = stack.cli("recommend", marked_user(5)["username"], "-n", "5")
    assert len(shown["data"]) == 5
    checks = stack.script("doctor.py", "--json")
    assert MARKER not in (checks.stdout + checks.stderr).lower()

    send_name_to_superset(stack)

    assert text_columns(stack) == []
    in_databases = [
        found for name in SERVICE_DATABASES for found in leak_search.find_in_database(dsn(stack, name))
    ]
    assert not in_databases, "\n".join(in_databases)
    found = leak_search.find_in_files(stack.home, exclude=POSTGRES_FOLDER)
    assert not found, "\n".join(found)


def test_an_erased_user_is_removed_from_the_running_stack(stack: Stack) -> None:
    erased = stack.cli("user", "erase", marked_user(7)["username"], "--yes")
    assert erased["ratings_count"] == RATINGS_EACH
    assert erased["verified_at"] is None
    done = elt(stack, "erase")
    assert done.returncode == 0, done.stderr
    assert str(FIRST_ID + 7) not in done.stdout + done.stderr
    removed = json.loads(done.stdout)["removed"]
    assert {"raw.users", "raw.ratings", "analytics.user_item_matrix", "analytics.recommendations"} <= set(
        removed
    )
    record = stack.cli("users", "erasure", str(erased["erasure_id"]))
    assert record["verified_at"]
    assert record["warehouse_rows_count"] == sum(removed.values())
    assert record["scanned_bytes_count"] > 0
