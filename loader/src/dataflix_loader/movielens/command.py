"""The command `scripts/import_movielens.py`."""

import argparse
import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataflix_loader import settings
from dataflix_loader.database.connection import transaction
from dataflix_loader.errors import LoadError
from dataflix_loader.movielens import manifest
from dataflix_loader.movielens.dataset import find_layout
from dataflix_loader.movielens.importer import Import
from dataflix_loader.movielens.output_files import pending_file
from dataflix_loader.movielens.rejects import Faults
from dataflix_loader.movielens.sources import open_source
from dataflix_loader.progress import Progress

_DESCRIPTION = """\
Import a MovieLens data set into the application's Postgres, in one transaction. Importing it again
changes nothing.

PATH is a folder or zip file of any edition (ml-latest, ml-latest-small, ml-20m, ml-25m, ml-32m,
ml-1m, ml-10m, ml-100k). Files are recognised by what they contain. Settings come from the
environment or from .env: DATAFLIX_POSTGRES_HOST, _PORT, _DB and _ADMIN_PASSWORD, and DATAFLIX_HOME,
in whose folder `imports` the manifests are. Exit codes: 0 imported, 1 the data were refused, 2
wrong use, 3 the database could not be reached or used, 130 interrupted. With any code but 0 nothing
was changed.
"""

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
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
