"""The command `scripts/doctor.py`."""

import argparse
import logging
import sys

from dataflix_ops.doctor import api, databases, models, services, source
from dataflix_ops.doctor.check import run_checks
from dataflix_ops.doctor.report import as_json, print_table
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError

_DESCRIPTION = """\
Check every service of the running stack, local or in Docker.

Settings come from .env; DATAFLIX_ENV_FILE and DATAFLIX_HOME move it. Exit codes: 0 every check
passed, 1 some failed; each failure comes with what to do.
"""


def main() -> None:
    """Run all checks and print their results."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    # It logs what it also raises.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        settings = stack_settings.load(create=False)
        checks = [
            *databases.checks(),
            *source.checks(settings),
            *models.checks(),
            *services.checks(),
            *api.checks(),
        ]
        outcomes = run_checks(checks, settings)
        if arguments.json:
            print(as_json(outcomes, settings))
        else:
            print_table(outcomes, settings)
    except StackError as error:
        sys.exit(f"doctor: {error}")
    if not all(outcome.works for outcome in outcomes):
        sys.exit(1)
