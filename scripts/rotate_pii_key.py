#!/usr/bin/env python3
"""Gives the pseudonyms another key: in Postgres, in .env, and then all through the warehouse.

Use: .venv/bin/python scripts/rotate_pii_key.py            with the stack running; ends with a whole pipeline
     .venv/bin/python scripts/rotate_pii_key.py --finish   goes on where the pipeline or a check had failed

Neither key is ever printed, nor an argument, nor part of a statement. Whoever linked the old pseudonyms to
something of their own can no longer do so: that is what it is for.
"""

import argparse
import subprocess
import sys

from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from key_rotation import postgres, warehouse
from key_rotation.errors import RotationError
from key_rotation.rotating import finish, rotate


def main() -> None:
    """Rotate; exit 1 with what to do when it could not be finished."""
    parser = argparse.ArgumentParser(description="Give the pseudonyms another key.")
    parser.add_argument("--finish", action="store_true", help="only make the warehouse anew and check it")
    arguments = parser.parse_args()
    try:
        _run(only_finish=arguments.finish)
    except (RotationError, StackError) as error:
        sys.exit(f"rotate_pii_key: {error}")


def _run(*, only_finish: bool) -> None:
    settings = stack_settings.load(create=False)
    client = warehouse.administrator(
        host=settings["CLICKHOUSE_HOST"],
        port=settings.port("CLICKHOUSE"),
        password=settings["CLICKHOUSE_ADMIN_PASSWORD"],
    )
    with postgres.administrator(
        host=settings["POSTGRES_HOST"],
        port=settings.port("POSTGRES"),
        dbname=settings["POSTGRES_DB"],
        password=settings["POSTGRES_ADMIN_PASSWORD"],
    ) as connection:
        if not only_finish:
            rotate(settings.env_file, connection, _say)
        finish(connection, client, _reload, _say)


def _reload() -> None:
    result = subprocess.run([str(ROOT / "run.sh"), "pipeline", "--full"], stdout=sys.stderr, check=False)
    if result.returncode != 0:
        raise RotationError(
            "The key is changed, but the pipeline failed, so the warehouse holds old pseudonyms. "
            "When it is well again: scripts/rotate_pii_key.py --finish"
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
