"""`elt`: the ELT without Airflow. Prints results to stdout as JSON, and the log to stderr."""

import argparse
import json
import logging
import os
import sys
import uuid
from dataclasses import asdict
from pathlib import Path

from dataflix_common.command_end import run_to_end
from dataflix_common.env_file import env_file_path, with_env_file
from dataflix_elt import steps
from dataflix_elt.clients.dbt_project import manifest, manifest_sha256
from dataflix_elt.errors import EltError, SettingsError
from dataflix_elt.loading.load import load
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.settings import DbtSettings, SourceSettings, WarehouseSettings
from dataflix_elt.tables import TABLE_NAMES, TABLES, table_named


def main() -> int:
    """Run the command line; return the exit code, after a failure with one line on stderr."""
    return run_to_end(_main, "elt")


def _main() -> str | None:
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    for library in ("clickhouse_connect", "urllib3"):
        # They log what they also raise.
        logging.getLogger(library).setLevel(logging.CRITICAL)
    try:
        _add_env_file()
        match arguments.command:
            case "load":
                _load(arguments)
            case "erase":
                _print(steps.erase(without_search=arguments.without_search))
            case "tables":
                _tables()
            case "manifest":
                _manifest()
    except EltError as error:
        # libpq tells some things in several lines.
        return f"elt: {' '.join(str(error).split())}"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="elt", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load", help="load what has changed from Postgres into ClickHouse")
    load.add_argument("--full", action="store_true", help="load whole tables; repairs every difference")
    load.add_argument(
        "--accept-source",
        action="store_true",
        help="replace what was loaded from another database; without it such a load is refused",
    )
    load.add_argument(
        "--verify",
        type=Verify,
        choices=list(Verify),
        default=Verify.AUTO,
        help="what to compare with the source at the end: keys and the transactions that wrote them; the "
        "content of all rows; or content only of small tables and once a day (auto, the default)",
    )
    load.add_argument(
        "--table", action="append", choices=TABLE_NAMES, help="which table; can be repeated; default: all"
    )
    load.add_argument("--run-id", help="goes into each row; default: a random one")
    erase = commands.add_parser(
        "erase",
        help="remove users from the warehouse who were deleted in Postgres; waits for loads and publications",
    )
    erase.add_argument(
        "--without-search",
        action="store_true",
        help="do not search ClickHouse's files for pseudonyms, and record that",
    )
    commands.add_parser("tables", help="show the tables with their columns and keys")
    commands.add_parser("manifest", help="update dbt's manifest; show its path and hash")
    return parser


def _add_env_file() -> None:
    """Add the settings of `.env` to the environment, which wins, so that a person's shell needs no exports.

    Raises:
        SettingsError: the file can't be read.
    """
    # The environment is in the folder airflow of the project.
    root = Path(sys.prefix).parents[1]
    path = env_file_path(os.environ, root)
    try:
        if path.exists():
            os.environ.update(with_env_file(os.environ, root))
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8. Save the file as UTF-8.") from error


def _load(arguments: argparse.Namespace) -> None:
    run_id = arguments.run_id or f"manual__{uuid.uuid4()}"
    source, warehouse = SourceSettings.from_environ(os.environ), WarehouseSettings.from_environ(os.environ)
    for name in arguments.table or TABLE_NAMES:
        result = load(
            table_named(name),
            run_id=run_id,
            full=arguments.full,
            accept_source=arguments.accept_source,
            verify=arguments.verify,
            source_settings=source,
            warehouse_settings=warehouse,
        )
        _print(asdict(result))


def _tables() -> None:
    for table in TABLES:
        columns = {column.name: column.warehouse_type for column in table.columns}
        _print({"table": table.name, "source": table.source, "key": table.key, "columns": columns})


def _manifest() -> None:
    path = manifest(DbtSettings.from_environ(os.environ))
    _print({"path": str(path), "sha256": manifest_sha256(path)})


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    # A load takes long: its result is shown before the next one begins.
    sys.stdout.flush()
