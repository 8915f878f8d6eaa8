"""Imports a MovieLens data set into the application's Postgres.

Use: python scripts/import_movielens.py PATH [--rejects FILE] [--manifest FILE] [--json] [--quiet]

PATH is a folder or zip file of any edition (ml-latest, ml-latest-small, ml-20m, ml-25m, ml-32m, ml-1m,
ml-10m, ml-100k); it is told by what its files contain. All of it is imported, in one transaction, or nothing;
importing it again changes nothing. Settings: DATAFLIX_POSTGRES_HOST, _PORT, _DB and _ADMIN_PASSWORD, and
DATAFLIX_HOME (manifests lie in its folder `imports`), from the environment or from .env. Exit codes:
0 imported, 1 the data were refused, 2 wrong use, 3 the database could not be reached or used,
130 interrupted; with any but 0 nothing was changed.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataload import settings
from dataload.database import transaction
from dataload.errors import LoadError
from dataload.progress import Progress
from movielens import manifest
from movielens.faults import Faults
from movielens.importer import Import
from movielens.layouts import find_layout
from movielens.outputs import pending_file
from movielens.sources import open_source

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        report = _import(options)
    except LoadError as error:
        print(f"{error} Nothing was changed.", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted. Nothing was changed.", file=sys.stderr)
        return _INTERRUPTED
    print(json.dumps(report, indent=2) if options.json else _summary(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, metavar="PATH", help="folder or zip file of a MovieLens data set")
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="leave out bad lines and collect them here as CSV"
    )
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE", help="where to write what was read (DATAFLIX_HOME/imports/)"
    )
    parser.add_argument("--json", action="store_true", help="print the manifest instead of a summary")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _import(options: argparse.Namespace) -> dict[str, Any]:
    now = datetime.now(UTC)
    config = settings.load()
    with ExitStack() as stack:
        files = stack.enter_context(open_source(options.path))
        layout = find_layout(str(options.path), files)
        manifest_path = options.manifest or manifest.default_path(config, now)
        manifest_file = stack.enter_context(pending_file(manifest_path))
        rejects = stack.enter_context(pending_file(options.rejects)) if options.rejects else None
        outputs = [file for file in (manifest_file, rejects) if file]
        progress = Progress(sum(file.size for file in layout.files.values()), quiet=options.quiet)
        work = Import(layout, Faults(rejects), progress)
        with transaction(config) as connection:
            merged = work.run(connection)
            report = manifest.describe(options.path, work, merged, now)
            manifest_file.write(json.dumps(report, indent=2) + "\n")
            for file in outputs:
                file.complete()
        for file in outputs:
            file.publish()
        return report


def _summary(report: dict[str, Any]) -> str:
    rows = ", ".join(f"{count:,} {table}" for table, count in report["rows"].items())
    changed = sum(done["inserted"] + done["updated"] for done in report["changes"].values())
    rejected = sum(report["rejected"].values())
    left_out = f"; {rejected:,} lines rejected" if rejected else ""
    return f"{report['source']}: {rows}; {changed:,} rows new or changed{left_out}"


if __name__ == "__main__":
    sys.exit(main())
