"""The command `scripts/generate_sample_data.py`."""

import argparse
import sys
from pathlib import Path

from dataflix_loader.sample.files import DEFAULT_SEED, DEFAULT_USERS, write_sample

_DESCRIPTION = """\
Write the sample data as CSV files: real movies, invented users, and ratings drawn from a model of
preferences.

The same users and seed give the same bytes on any day. Exit codes: 0 written, 1 the folder can't be
written, 2 wrong use.
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the sample into a folder; returns the exit code."""
    parser = sample_parser(_DESCRIPTION)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where to write; created if it does not exist"
    )
    options = parser.parse_args(arguments)
    try:
        rows = write_sample(options.folder, n_users=options.users, seed=options.seed)
    except OSError as error:
        print(f"{options.folder} can't be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.folder}: " + ", ".join(f"{count:,} {table}" for table, count in rows.items()))
    return 0


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
