"""Runs dbt commands in one process: it reads and answers requests as lines of JSON.

It runs in the environment of Airflow and dbt. One process, because loading dbt takes four seconds of CPU.
"""

import contextlib
import io
import json
import os
import sys

# dbt belongs to another environment.
# mypy: disable-error-code="import-not-found"
from dbt.cli.main import dbtRunner


def main() -> None:
    """Answer requests until the input ends."""
    own_environ = dict(os.environ)
    answers = sys.stdout
    for line in sys.stdin:
        request = json.loads(line)
        os.environ.clear()
        os.environ.update(own_environ | request["environ"])
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            result = dbtRunner().invoke(request["words"])
        # The exit codes of the command `dbt`: 1 when a node failed, 2 when dbt itself did.
        exit_code = 0 if result.success else 1 if result.exception is None else 2
        if result.exception is not None:
            output.write(str(result.exception))
        answers.write(json.dumps({"exit_code": exit_code, "output": output.getvalue()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
