"""The command `scripts/generate_sample_data.py`."""

import argparse

from dataflix_common import argument_types
from dataflix_common.command_end import say
from dataflix_loader.errors import LoadError
from dataflix_loader.progress import print_summary
from dataflix_loader.sample.files import DEFAULT_SEED, DEFAULT_USERS, write_sample

_DESCRIPTION = """\
Write the sample data as CSV files: real movies, invented users, and ratings drawn from a model of
preferences.

The same users and seed give the same bytes on any day. Files that are there already are replaced
only with --replace. Exit codes: 0 written, 1 the files can't be written or are there already, 2 wrong
use, 4 written, but the summary could not be.
"""

# 3 GB of memory: each user has an opinion of each of the 476 movies.
_MAX_USERS = 100_000
_MAX_SEED = 2**63 - 1


def main(arguments: list[str] | None = None) -> int:
    """Write the sample into a folder; returns the exit code."""
    parser = sample_parser(_DESCRIPTION)
    parser.add_argument(
        "folder",
        type=argument_types.path,
        metavar="FOLDER",
        help="where to write; created if it does not exist",
    )
    parser.add_argument("--replace", action="store_true", help="replace the four files if they exist")
    options = parser.parse_args(arguments)
    try:
        rows = write_sample(options.folder, n_users=options.users, seed=options.seed, replace=options.replace)
    except LoadError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        say(f"{options.folder} can't be written: {error.strerror}.")
        return 1
    counts = ", ".join(f"{count:,} {table}" for table, count in rows.items())
    return print_summary(f"{options.folder}: {counts}", "The files were written.")


def sample_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that decide what is drawn."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--users",
        type=argument_types.whole_number(1, _MAX_USERS),
        default=DEFAULT_USERS,
        metavar="N",
        help="number of users (%(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=argument_types.whole_number(0, _MAX_SEED),
        default=DEFAULT_SEED,
        metavar="N",
        help="of the random numbers (%(default)s)",
    )
    return parser
