"""The command `scripts/load_sample_data.py`."""

import sys
import tempfile
from pathlib import Path

from dataflix_loader import settings
from dataflix_loader.errors import LoadError
from dataflix_loader.progress import Progress
from dataflix_loader.sample.files import write_sample
from dataflix_loader.sample.generate_command import sample_parser
from dataflix_loader.sample.load import load_folder

_DESCRIPTION = """\
Load the sample data into the application's Postgres, in one transaction. Loading it again changes
nothing.

Settings come from the environment or from .env: DATAFLIX_POSTGRES_HOST, _PORT, _DB and
_ADMIN_PASSWORD. Exit codes: 0 loaded, 1 the data were refused, 2 wrong use, 3 the database could
not be reached or used. With any code but 0 nothing was changed.
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
        print(f"{error} Nothing was changed.", file=sys.stderr)
        return error.exit_code
    changed = sum(change.inserted + change.updated for change in changes.values())
    print(
        "sample: "
        + ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in rows.items())
        + f"; {changed:,} rows new or changed"
    )
    return 0
