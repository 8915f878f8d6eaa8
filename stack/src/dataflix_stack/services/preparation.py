"""Prepares what the services need: environments, databases, the bucket, Airflow's tables."""

import subprocess
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from dataflix_stack.airflow.environment import write_password_file
from dataflix_stack.config.private_files import UMASK
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.progress import step
from dataflix_stack.services import postgres
from dataflix_stack.services.registry import airflow_service_environ

# chDB takes the path for an address with options; dataflix_clickhouse refuses the same ones.
_SPECIAL_TO_CLICKHOUSE = frozenset("?&#%+")


def build_airflow_environment() -> None:
    """Build `airflow/.venv` from its lock unless it is up to date.

    Raises:
        StackError: the build failed.
    """
    with step("Airflow's environment"):
        result = subprocess.run(
            [str(ROOT / "scripts" / "environments.sh"), "airflow"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if result.returncode != 0:
        raise StackError(f"Airflow's environment could not be built:\n{result.stderr.strip()[-2000:]}")


def check_clickhouse_folder(home: Path) -> None:
    """Check that the embedded ClickHouse can open its folder, before other services start.

    Raises:
        StackError: the state folder's path has a character that the engine takes for a part of an address.
    """
    if found := sorted(_SPECIAL_TO_CLICKHOUSE & set(str(home))):
        raise StackError(
            f"ClickHouse can't open a folder with {' '.join(found)} in its path: {home}. "
            "Name another state folder with DATAFLIX_HOME."
        )


def create_postgres_cluster(settings: Settings) -> None:
    """Create the Postgres cluster on the first start.

    Raises:
        StackError: initdb failed.
    """
    data = settings.home / "postgres"
    if not data.exists():
        postgres.create_cluster(data, settings["POSTGRES_ADMIN_PASSWORD"])


def apply_postgres_init(settings: Settings) -> None:
    """Apply `postgres/init`: the schema, the roles and the services' databases.

    Raises:
        StackError: a file failed; the message names it.
    """
    postgres.apply_init(
        host=settings["POSTGRES_HOST"],
        port=settings.port("POSTGRES"),
        dbname=settings["POSTGRES_DB"],
        password=settings["POSTGRES_ADMIN_PASSWORD"],
        environ=settings.values,
    )


def create_bucket(settings: Settings) -> None:
    """Create the bucket of the model artifacts unless it exists.

    Raises:
        StackError: S3 refused the request.
    """
    bucket = settings["S3_BUCKET"]
    client = boto3.client(
        "s3",
        endpoint_url=settings.url("S3"),
        aws_access_key_id=settings["S3_ACCESS_KEY"],
        aws_secret_access_key=settings["S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    try:
        if bucket not in [entry["Name"] for entry in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"S3 at {settings.url('S3')} refused the bucket {bucket}: {error}") from error


def prepare_airflow(settings: Settings) -> None:
    """Migrate Airflow's database and write the administrator's password file.

    Raises:
        StackError: the migration failed; the message has the end of its output.
    """
    environ = airflow_service_environ(settings)
    write_password_file(environ, settings["AIRFLOW_ADMIN_PASSWORD"])
    command = [str(ROOT / "airflow" / ".venv" / "bin" / "airflow"), "db", "migrate"]
    with step("Airflow's database"):
        result = subprocess.run(
            command, env=environ, capture_output=True, text=True, errors="replace", check=False, umask=UMASK
        )
    if result.returncode != 0:
        raise StackError(f"airflow db migrate failed:\n{(result.stderr or result.stdout).strip()[-2000:]}")
