"""The init jobs of Compose, which apply the init SQL to the databases."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import chdb
import psycopg2
import pytest

from dataflix_clickhouse.access.accounts import ACCOUNTS, ADMIN
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import postgres
from dataflix_testkit.process import ROOT, clean_environ

POSTGRES_INIT = ROOT / "stack" / "docker" / "postgres" / "init.sh"
CLICKHOUSE_INIT = ROOT / "stack" / "docker" / "clickhouse" / "init.sh"


def test_postgres_init_gives_the_local_schema_and_is_idempotent() -> None:
    with postgres(initialise=False) as server:
        environ = clean_environ(server.environ) | {
            "PATH": f"{cluster.binaries()}:{os.environ['PATH']}",
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        }
        for _ in range(2):
            command = ["bash", str(POSTGRES_INIT), str(ROOT / "postgres" / "init")]
            result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
        for secret in (value for name, value in server.environ.items() if name.endswith(("PASSWORD", "KEY"))):
            assert secret not in result.stdout + result.stderr
        with psycopg2.connect(server.dsn("elt_reader")) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from masked.ratings")
            assert cursor.fetchall() == [(0,)]
        for service in ("airflow", "mlflow", "superset"):
            psycopg2.connect(server.dsn(service, service)).close()


def test_postgres_init_says_which_file_failed(tmp_path: Path) -> None:
    (tmp_path / "01_fine.sql").write_text("select 1;")
    (tmp_path / "02_broken.sql").write_text("select nothing from nowhere;")
    (tmp_path / "03_never.sql").write_text("create table never ();")
    with postgres(initialise=False) as server:
        environ = clean_environ(server.environ) | {
            "PATH": f"{cluster.binaries()}:{os.environ['PATH']}",
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": server.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
        }
        command = ["bash", str(POSTGRES_INIT), str(tmp_path)]
        result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert result.returncode != 0
        assert "02_broken.sql" in result.stderr
        assert "03_never" not in result.stdout


_CLIENT = """#!/bin/sh
# A fake clickhouse-client: records the file that it is given, or its stdin.
for word; do
  case $word in *.sql) cat "$word" >>"$RECORD"; echo >>"$RECORD"; exit ;; esac
done
cat >>"$RECORD"
"""


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "clickhouse-client").write_text(_CLIENT)
    (folder / "clickhouse-client").chmod(0o755)
    environ = clean_environ({"PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(folder / "record")})
    environ |= {"DATAFLIX_CLICKHOUSE_HOST": "nowhere"}
    environ |= {account.password_variable: f"password of {account.name}" for account in ACCOUNTS}
    command = ["bash", str(CLICKHOUSE_INIT), str(ROOT / "clickhouse" / "init")]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    sql = re.sub(r"--.*", "", (folder / "record").read_text())
    return [statement.strip() for statement in sql.split(";") if statement.strip()]


def test_clickhouse_parses_every_statement(statements: list[str]) -> None:
    # The engine as a library parses as the server does; access statements it can't run.
    query: Any = chdb.query
    with pytest.raises(Exception, match="SYNTAX_ERROR"):
        query("select formatQuery('CREATE USR nobody')")
    for statement in statements:
        text = statement.replace("\\", "\\\\").replace("'", "\\'")
        query(f"select formatQuery('{text}')")


def test_clickhouse_gets_the_accounts_of_the_embedded_server(statements: list[str]) -> None:
    text = "\n".join(statements)
    for account in ACCOUNTS:
        if account == ADMIN:
            # The server's own configuration has this one.
            users = (ROOT / "stack" / "docker" / "clickhouse" / "users.xml").read_text()
            assert f"<{account.name}>" in users
            assert f'from_env="{account.password_variable}"' in users
            continue
        assert f"GRANT {account.role} TO {account.name}\n" in text + "\n"
        assert f"CREATE ROLE IF NOT EXISTS {account.role}" in text
        limits = re.search(rf"ALTER USER {account.name} IDENTIFIED .* SETTINGS (.*)", text)
        assert limits
        assert limits[1] == ("readonly = 2" if account.is_readonly else "NONE")
    made = set(re.findall(r"CREATE USER IF NOT EXISTS (\w+)", text))
    assert made == {account.name for account in ACCOUNTS if account != ADMIN}


def test_no_password_is_in_a_statement(statements: list[str]) -> None:
    assert not [statement for statement in statements if "password of" in statement]
