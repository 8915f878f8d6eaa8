"""Writes the sample data as CSV files: real films, invented people, ratings drawn from a model of tastes.

Use: python scripts/generate_sample_data.py FOLDER [--users N] [--seed N]

The same users and seed give the same bytes on any day. Exit codes: 0 written, 1 the folder can't be written,
2 wrong use.
"""

import argparse
import sys
from pathlib import Path

from sample_data.files import DEFAULT_SEED, DEFAULT_USERS, write_sample


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write; made if missing")
    add_sample_options(parser)
    options = parser.parse_args(arguments)
    try:
        rows = write_sample(options.folder, n_users=options.users, seed=options.seed)
    except OSError as error:
        print(f"{options.folder} can't be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.folder}: " + ", ".join(f"{count:,} {table}" for table, count in rows.items()))
    return 0


def add_sample_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide what is drawn."""
    parser.add_argument(
        "--users", type=_positive, default=DEFAULT_USERS, metavar="N", help="people (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=_natural, default=DEFAULT_SEED, metavar="N", help="of the random numbers (%(default)s)"
    )


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


if __name__ == "__main__":
    sys.exit(main())
