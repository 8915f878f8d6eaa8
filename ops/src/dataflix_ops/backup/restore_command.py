"""The command `scripts/restore.py`."""

import argparse
import sys
from pathlib import Path

from dataflix_common import argument_types
from dataflix_ops.backup.archive import ENV_FILE, restore_backup
from dataflix_ops.backup.errors import BackupError
from dataflix_ops.backup.local_stack import open_stores, restore_state, running_stores
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.progress import is_output_lost, say

_DESCRIPTION = """\
Restore a backup. It replaces everything in Postgres, the model artifacts and the warehouse.

Use: ./stop.sh && scripts/restore.py FOLDER --yes && ./run.sh && ./run.sh pipeline --full
On a new machine, before: scripts/environments.sh core, and .env as it was.

The command starts Postgres, ClickHouse and S3 alone, checks the backup, restores it, and stops them
again. It needs .env as it was; a backup made with --with-secrets holds it as the file env. The full
pipeline at the end is needed because the load states of the restored database do not fit the
warehouse. People who were erased after the backup are there again and must be erased again.
"""


def main() -> None:
    """Restore a backup; exit 1 with the reason on failure."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=argument_types.path, metavar="FOLDER", help="the backup")
    parser.add_argument("--yes", action="store_true", help="do not ask before everything is replaced")
    arguments = parser.parse_args()
    try:
        folder = arguments.folder.absolute()
        _check_env_file(folder)
        settings = stack_settings.load(create=False)
        if not arguments.yes:
            _confirm(settings.home)
        with running_stores(settings):
            read = restore_backup(
                open_stores(settings), folder, say, when_checked=lambda: restore_state(settings, folder)
            )
    except (BackupError, StackError) as error:
        sys.exit(f"restore: {error}")
    say(f"everything is as it was at {read.created_at}; next: ./run.sh, then ./run.sh pipeline --full")
    sys.exit(1 if is_output_lost() else 0)


def _check_env_file(folder: Path) -> None:
    """Check that there is a `.env`; ./run.sh would write one with other secrets, and load the sample.

    Raises:
        BackupError: there is none; the message says how to get it.
    """
    path = stack_settings.env_file_path()
    if path.exists():
        return
    kept = folder / ENV_FILE
    how = f"this backup has it: cp {kept} {path}" if kept.exists() else "this backup was made without it"
    raise BackupError(
        f"{path} does not exist. Put the .env of the stack that was backed up there; {how}. Nothing was "
        "changed."
    )


def _confirm(home: Path) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise BackupError("This replaces all data, and there is no terminal to confirm on: add --yes.")
    try:
        answer = input(f"Replace all data in {home}? Type 'yes': ")
    except (EOFError, UnicodeDecodeError):
        answer = ""
    if answer.strip().lower() != "yes":
        raise BackupError("Nothing was changed.")
