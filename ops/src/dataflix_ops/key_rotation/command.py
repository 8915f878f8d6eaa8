"""The command `scripts/rotate_pii_key.py`."""

import argparse
import subprocess
import sys

from dataflix_common.command_end import INTERRUPTED
from dataflix_ops.key_rotation import warehouse
from dataflix_ops.key_rotation.errors import RotationError
from dataflix_ops.key_rotation.rotation import finish, rotate
from dataflix_ops.postgres_session import administrator
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.errors import StackError
from dataflix_stack.paths import ROOT
from dataflix_stack.progress import is_output_lost, say

_DESCRIPTION = """\
Replace the key of the pseudonyms: in Postgres, in .env, and then in the whole warehouse. The stack
must run.

The command ends with a full pipeline run. If that run or the check after it fails, --finish
continues from there. Neither key is ever printed, an argument, or part of a statement. People who
linked the old pseudonyms to data of their own can no longer do so: that is the purpose.
"""


def main() -> None:
    """Rotate the key; exit 1 with what to do when the rotation could not be finished."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--finish", action="store_true", help="only reload the warehouse and check it")
    arguments = parser.parse_args()
    try:
        _run(only_finish=arguments.finish)
    except (RotationError, StackError) as error:
        sys.exit(f"rotate_pii_key: {error}")
    except KeyboardInterrupt:
        say("rotate_pii_key: interrupted. The same command continues from here.")
        sys.exit(INTERRUPTED)
    sys.exit(1 if is_output_lost() else 0)


def _run(*, only_finish: bool) -> None:
    settings = stack_settings.load(create=False)
    client = warehouse.administrator(
        host=settings["CLICKHOUSE_HOST"],
        port=settings.port("CLICKHOUSE"),
        password=settings["CLICKHOUSE_ADMIN_PASSWORD"],
    )
    with administrator(
        host=settings["POSTGRES_HOST"],
        port=settings.port("POSTGRES"),
        dbname=settings["POSTGRES_DB"],
        password=settings["POSTGRES_ADMIN_PASSWORD"],
        error=RotationError,
    ) as connection:
        if not only_finish:
            rotate(settings.env_file, connection, say)
        finish(connection, client, _reload, say)


def _reload() -> None:
    result = subprocess.run([str(ROOT / "run.sh"), "pipeline", "--full"], stdout=sys.stderr, check=False)
    if result.returncode != 0:
        raise RotationError(
            "The key is changed, but the pipeline failed, so the warehouse holds old pseudonyms. "
            "When the pipeline works again: scripts/rotate_pii_key.py --finish"
        )
