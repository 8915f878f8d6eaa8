#!/usr/bin/env python3
"""Writes a backup: Postgres with the registry, the model artifacts, and the warehouse.

Use: .venv/bin/python scripts/backup.py FOLDER [--with-secrets] [--keep-days N]     with the stack running
     .venv/bin/python scripts/backup.py --prune PARENT [--keep-days N]

FOLDER must not exist; it appears when the backup is whole. Its files can be read by their owner alone. It
holds personal data, as Postgres does. .env and the key of the pseudonyms are left out unless --with-secrets
asks for them: keep them elsewhere, since nothing can be restored without that key.

Then backups beside it that are older than N days (default: DATAFLIX_RETENTION_DAYS) are removed: they hold
who was erased since. --prune does that alone, for the backups in PARENT.
"""

import argparse
import sys
from pathlib import Path

from backups.errors import BackupError
from backups.expiry import remove_older
from backups.local import places
from backups.taking import take
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError


def main() -> None:
    """Write a backup; exit 1 with the reason when there is none."""
    parser = argparse.ArgumentParser(description="Back up Postgres, the artifacts and the warehouse.")
    parser.add_argument(
        "folder", type=Path, help="a new folder for it; with --prune the one that backups are in"
    )
    parser.add_argument("--prune", action="store_true", help="make none, only remove old ones")
    parser.add_argument(
        "--keep-days", type=_days, help="how long others stay; default: DATAFLIX_RETENTION_DAYS"
    )
    parser.add_argument(
        "--with-secrets", action="store_true", help="put .env and the pseudonyms' key into it"
    )
    arguments = parser.parse_args()
    try:
        settings = stack_settings.load(create=False)
        folder = arguments.folder.absolute()
        if not arguments.prune:
            env_file = settings.env_file if arguments.with_secrets else None
            written = take(places(settings), folder, _say, env_file=env_file)
            _say(f"{arguments.folder}: {len(written.files)} files")
        days = arguments.keep_days or int(settings["RETENTION_DAYS"])
        for old in remove_older(folder if arguments.prune else folder.parent, days):
            _say(f"{old}: removed, older than {days} days")
    except (BackupError, StackError) as error:
        sys.exit(f"backup: {error}")


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days above 0")
    return int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
