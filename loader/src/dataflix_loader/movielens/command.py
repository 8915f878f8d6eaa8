"""The command `scripts/import_movielens.py`."""

import argparse
import json
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from dataflix_common import argument_types
from dataflix_common.command_end import say
from dataflix_common.env_file import env_file_path
from dataflix_loader import settings
from dataflix_loader.database.connection import transaction
from dataflix_loader.errors import LoadError, UnwrittenOutputError
from dataflix_loader.movielens.dataset import open_dataset
from dataflix_loader.movielens.errors import FileError
from dataflix_loader.movielens.fields import SCALES
from dataflix_loader.movielens.importer import import_dataset
from dataflix_loader.movielens.manifest import build_manifest, default_path
from dataflix_loader.movielens.output_files import check_output_paths, output_file
from dataflix_loader.movielens.rejects import RejectLog
from dataflix_loader.movielens.sources import list_paths
from dataflix_loader.progress import Progress, print_summary

_DESCRIPTION = """\
Import a MovieLens data set into the application's Postgres, in one transaction. Importing it again
changes nothing.

PATH is a folder or zip file of any edition (ml-latest, ml-latest-small, ml-20m, ml-25m, ml-32m,
ml-1m, ml-10m, ml-100k). Files are recognised by what they contain. Settings come from the
environment or from .env: DATAFLIX_POSTGRES_HOST, _PORT, _DB and _ADMIN_PASSWORD, and DATAFLIX_HOME,
in whose folder `imports` the manifests are. Exit codes: 0 imported, 1 the data were refused, 2
wrong use, 3 the database could not be reached or used, 4 imported, but the manifest, the rejects or
the summary could not be written, 130 interrupted. With any code but 0 and 4 nothing was changed.
"""

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Import a data set; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        manifest = _import(options)
    except UnwrittenOutputError as error:
        say(str(error))
        return error.exit_code
    except LoadError as error:
        say(f"{error} Nothing was changed.")
        return error.exit_code
    except KeyboardInterrupt:
        say("Interrupted. Nothing was changed.")
        return _INTERRUPTED
    text = json.dumps(manifest, indent=2) if options.json else _summary(manifest)
    return print_summary(text, "The data were imported.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "path", type=argument_types.path, metavar="PATH", help="folder or zip file of a MovieLens data set"
    )
    parser.add_argument(
        "--rejects",
        type=argument_types.path,
        metavar="FILE",
        help="leave out invalid lines and write them to this CSV file",
    )
    parser.add_argument(
        "--manifest",
        type=argument_types.path,
        metavar="FILE",
        help="where to write the manifest; default: a new file in DATAFLIX_HOME/imports",
    )
    parser.add_argument(
        "--scale",
        type=int,
        choices=SCALES,
        help="the highest rating: 5 for 0.5 to 5 stars in half steps, 10 for 0 to 10 in whole steps, where "
        "10 is 5 stars and both 0 and 1 are half a star; default: DATAFLIX_RATING_SCALE, or 5",
    )
    parser.add_argument(
        "--accept-other-titles",
        action="store_true",
        help="take titles over even where they do not look like corrections of those in the database",
    )
    parser.add_argument("--json", action="store_true", help="print the manifest instead of a summary")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser


def _import(options: argparse.Namespace) -> dict[str, Any]:
    now = datetime.now(UTC)
    config = settings.load()
    outputs = {"--manifest": options.manifest or default_path(config, now)}
    if options.rejects is not None:
        outputs["--rejects"] = options.rejects
    check_output_paths(outputs, [options.path, env_file_path(), *list_paths(options.path)])
    is_committed = False
    try:
        with ExitStack() as stack:
            dataset = stack.enter_context(open_dataset(options.path))
            # The files take their places when the stack closes, after the commit.
            files = {option: stack.enter_context(output_file(path)) for option, path in outputs.items()}
            progress = Progress(sum(file.size for file in dataset.files.values()), quiet=options.quiet)
            with transaction(config) as connection:
                result = import_dataset(
                    connection,
                    dataset,
                    RejectLog(files.get("--rejects")),
                    progress,
                    scale=options.scale or config.rating_scale,
                    accept_other_titles=options.accept_other_titles,
                )
                manifest = build_manifest(options.path, result, now)
                files["--manifest"].write(json.dumps(manifest, indent=2) + "\n")
                # A full disk must end the import, so the files are synced before the commit.
                for file in files.values():
                    file.sync()
            is_committed = True
    except (FileError, KeyboardInterrupt) as error:
        if is_committed:
            raise UnwrittenOutputError(f"The data were imported. {error or 'Interrupted.'}") from error
        raise
    return manifest


def _summary(manifest: dict[str, Any]) -> str:
    rows = ", ".join(f"{count:,} {table}" for table, count in manifest["rows"].items())
    changed = sum(change["inserted"] + change["updated"] for change in manifest["changes"].values())
    rejected = sum(manifest["rejected"].values())
    rejected_text = f"; {rejected:,} lines rejected" if rejected else ""
    corrected = manifest["corrections"]
    corrected_text = (
        f"; {corrected['titles']:,} titles and {corrected['years']:,} years corrected"
        if any(corrected.values())
        else ""
    )
    return f"{manifest['source']}: {rows}; {changed:,} rows new or changed{corrected_text}{rejected_text}"
