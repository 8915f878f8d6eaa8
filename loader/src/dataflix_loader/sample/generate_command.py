"""The command `scripts/generate_sample_data.py`."""

import argparse
from pathlib import Path

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


def main(arguments: list[str] | None = None) -> int:
    """Write the sample into a folder; returns the exit code."""
    parser = sample_parser(_DESCRIPTION)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where to write; created if it does not exist"
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
        "--users", type=_positive, default=DEFAULT_USERS, metavar="N", help="number of users (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=_natural, default=DEFAULT_SEED, metavar="N", help="of the random numbers (%(default)s)"
    )
    return parser


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {number}")
    return number


def _positive(text: str) -> int:
    number = _natural(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
