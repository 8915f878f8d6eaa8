"""The command `scripts/backup.py`."""

import argparse
import sys

from dataflix_common import argument_types
from dataflix_ops.backup.archive import create_backup
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.local_stack import local_state_file, open_stores
from dataflix_ops.backup.retention import delete_expired
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.progress import is_output_lost, say

_DESCRIPTION = """\
Back up Postgres, the model artifacts and the warehouse of the running stack.

FOLDER must not exist; it appears when the backup is complete. Only its owner can read the files. A
backup holds personal data, as Postgres does. It leaves out .env and the key of the pseudonyms
unless --with-secrets is given: keep them elsewhere, because nothing can be restored without that
key.

Afterwards, backups in the same parent folder that are older than N days are deleted, because they
hold people who were erased since. --prune does only that, for the backups in the given folder.
"""

# 270 years: longer than anything is kept.
_MAX_DAYS = 99_999


def main() -> None:
    """Write a backup and delete old ones; exit 1 with the reason on failure."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder",
        type=argument_types.path,
        metavar="FOLDER",
        help="a new folder; with --prune, the parent of backups",
    )
    parser.add_argument("--prune", action="store_true", help="make no backup, only delete old ones")
    parser.add_argument(
        "--keep-days",
        type=argument_types.whole_number(1, _MAX_DAYS),
        metavar="N",
        help="how many days to keep backups; default: DATAFLIX_RETENTION_DAYS",
    )
    parser.add_argument(
        "--with-secrets", action="store_true", help="include .env and the key of the pseudonyms"
    )
    arguments = parser.parse_args()
    try:
        settings = stack_settings.load(create=False)
        folder = arguments.folder.absolute()
        if not arguments.prune:
            env_file = settings.env_file if arguments.with_secrets else None
            written = create_backup(
                open_stores(settings), folder, say, env_file=env_file, state_file=local_state_file(settings)
            )
            say(f"{arguments.folder}: {len(written.files)} files")
        days = arguments.keep_days or int(settings["RETENTION_DAYS"])
        for old in delete_expired(folder if arguments.prune else folder.parent, days):
            say(f"{old}: deleted, older than {days} days")
    except (BackupError, StackError) as error:
        sys.exit(f"backup: {error}")
    # A cron job that can't keep the messages must not look fine.
    sys.exit(1 if is_output_lost() else 0)
