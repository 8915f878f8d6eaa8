#!/usr/bin/env python3
"""Puts a backup in the place of everything that is there.

Use: ./stop.sh && .venv/bin/python scripts/restore.py FOLDER --yes && ./run.sh && ./run.sh pipeline --full

It starts Postgres, ClickHouse and S3 alone, checks the backup, restores, and stops them again. .env is needed
as it was; a backup that was made with --with-secrets has it under the name env. The last command makes the
loads go on from here: what they had carried over says nothing about a database that was restored. Whoever was
erased since the backup is there again, and has to be erased again.
"""

import argparse
import sys
from pathlib import Path

from backups.errors import BackupError
from backups.local import only_the_stores, places
from backups.taking import put_back
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError


def main() -> None:
    """Restore; exit 1 with the reason when it could not be done."""
    parser = argparse.ArgumentParser(description="Restore Postgres, the artifacts and the warehouse.")
    parser.add_argument("folder", type=Path, help="the backup")
    parser.add_argument("--yes", action="store_true", help="do not ask before everything is replaced")
    arguments = parser.parse_args()
    try:
        settings = stack_settings.load(create=False)
        if not arguments.yes:
            _confirm(settings.home)
        with only_the_stores(settings):
            read = put_back(places(settings), arguments.folder.absolute(), _say)
    except (BackupError, StackError) as error:
        sys.exit(f"restore: {error}")
    _say(f"everything is as it was at {read.created_at}; next: ./run.sh, then ./run.sh pipeline --full")


def _confirm(home: Path) -> None:
    if not sys.stdin.isatty():
        raise BackupError("This replaces all data and there is nobody to ask: add --yes.")
    if input(f"Replace all data in {home}? Type 'yes': ").strip().lower() != "yes":
        raise BackupError("Nothing was changed.")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
