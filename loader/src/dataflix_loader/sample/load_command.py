"""The command `scripts/load_sample_data.py`."""

import tempfile
from pathlib import Path

from dataflix_common.command_end import say
from dataflix_loader import settings
from dataflix_loader.errors import LoadError
from dataflix_loader.progress import Progress, print_summary
from dataflix_loader.sample.files import write_sample
from dataflix_loader.sample.generate_command import sample_parser
from dataflix_loader.sample.load import load_folder

_DESCRIPTION = """\
Load the sample data into the application's Postgres, in one transaction. Loading it again changes
nothing.

Settings come from the environment or from .env: DATAFLIX_POSTGRES_HOST, _PORT, _DB and
_ADMIN_PASSWORD. Exit codes: 0 loaded, 1 the data were refused, 2 wrong use, 3 the database could
not be reached or used, 4 loaded, but the summary could not be written. With any code but 0 and 4
nothing was changed.
"""


def main(arguments: list[str] | None = None) -> int:
    """Load the sample into Postgres; returns the exit code."""
    parser = sample_parser(_DESCRIPTION)
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    options = parser.parse_args(arguments)
    progress = Progress(1, quiet=options.quiet)
    try:
        with tempfile.TemporaryDirectory(prefix="dataflix-sample-") as folder:
            progress.step("drawing the sample")
            rows = write_sample(Path(folder), n_users=options.users, seed=options.seed)
            changes = load_folder(settings.load(), Path(folder), progress)
    except LoadError as error:
        say(f"{error} Nothing was changed.")
        return error.exit_code
    changed = sum(change.inserted + change.updated for change in changes.values())
    counts = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in rows.items())
    return print_summary(f"sample: {counts}; {changed:,} rows new or changed", "The data were loaded.")
