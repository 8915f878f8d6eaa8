"""Loads the sample data into the application's Postgres.

Use: python scripts/load_sample_data.py [--users N] [--seed N] [--quiet]

Draws the sample, stages it by COPY and merges it in one transaction; loading it again changes nothing.
Settings: DATAFLIX_POSTGRES_HOST, _PORT, _DB and _ADMIN_PASSWORD, from the environment or from .env.
Exit codes: 0 loaded, 1 the data were refused (nothing was changed), 2 wrong use, 3 the database could not be
reached or used (nothing was changed).
"""

import argparse
import sys
import tempfile
from pathlib import Path

from dataload import settings
from dataload.errors import LoadError
from dataload.progress import Progress
from generate_sample_data import add_sample_options
from sample_data.files import write_sample
from sample_data.load import load_folder


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_sample_options(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    options = parser.parse_args(arguments)
    progress = Progress(1, quiet=options.quiet)
    try:
        with tempfile.TemporaryDirectory(prefix="dataflix-sample-") as folder:
            progress.step("drawing the sample")
            rows = write_sample(Path(folder), n_users=options.users, seed=options.seed)
            merged = load_folder(settings.load(), Path(folder), progress)
    except LoadError as error:
        print(f"{error} Nothing was changed.", file=sys.stderr)
        return error.exit_code
    changed = sum(done.inserted + done.updated for done in merged.values())
    print(
        "sample: "
        + ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in rows.items())
        + f"; {changed:,} rows new or changed"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
