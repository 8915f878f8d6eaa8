#!/usr/bin/env python3
"""Writes a backup: Postgres with the registry, the model artifacts, and the warehouse.

Use: .venv/bin/python scripts/backup.py FOLDER [--with-secrets]     with the stack running

FOLDER must not exist; it appears when the backup is whole. Its files can be read by their owner alone. It
holds personal data, as Postgres does. .env and the key of the pseudonyms are left out unless --with-secrets
asks for them: keep them elsewhere, since nothing can be restored without that key.
"""

import argparse
import sys
from pathlib import Path

from backups.errors import BackupError
from backups.local import places
from backups.taking import take
from stack import settings as stack_settings
from stack.errors import StackError


def main() -> None:
    """Write a backup; exit 1 with the reason when there is none."""
    parser = argparse.ArgumentParser(description="Back up Postgres, the artifacts and the warehouse.")
    parser.add_argument("folder", type=Path, help="a new folder for it")
    parser.add_argument(
        "--with-secrets", action="store_true", help="put .env and the pseudonyms' key into it"
    )
    arguments = parser.parse_args()
    try:
        settings = stack_settings.load(create=False)
        env_file = settings.env_file if arguments.with_secrets else None
        written = take(places(settings), arguments.folder.absolute(), _say, env_file=env_file)
    except (BackupError, StackError) as error:
        sys.exit(f"backup: {error}")
    _say(f"{arguments.folder}: {len(written.files)} files")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
