"""Asks the running stack, local or in Docker, whether every part does its work.

Use: scripts/check_all_works.py [--json]    (settings from .env; DATAFLIX_ENV_FILE and DATAFLIX_HOME move it)
Exit 0 when everything works, else 1 with the way out of each failure.
"""

import argparse
import sys

from all_works import api, databases, models, services
from all_works.check import run
from all_works.report import as_json, print_table
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError


def main() -> None:
    """Run all checks and print what came of them."""
    parser = argparse.ArgumentParser(description="Ask every service of the stack whether it does its work.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    try:
        settings = stack_settings.load(create=False)
    except StackError as error:
        sys.exit(f"check_all_works: {error}")
    checks = [*databases.checks(), *models.checks(), *services.checks(), *api.checks()]
    outcomes = run(checks, settings)
    if arguments.json:
        print(as_json(outcomes, settings))
    else:
        print_table(outcomes, settings)
    if not all(outcome.works for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
