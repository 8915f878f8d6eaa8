"""The command `dataflix-source`."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from dataflix_common import argument_types
from dataflix_common.files import replace_file
from dataflix_source import settings, slot
from dataflix_source.capture import install_script, removal_script
from dataflix_source.client import own_transaction, source_snapshot
from dataflix_source.copying import attempts
from dataflix_source.copying.attempts import Attempt
from dataflix_source.copying.follow import follow
from dataflix_source.copying.people import Changes
from dataflix_source.copying.readiness import refuse_unready
from dataflix_source.copying.run import CopyResult, Options, copy
from dataflix_source.copying.state import CopyState, read_states
from dataflix_source.description.json_schema import json_schema
from dataflix_source.description.model import CopyMode
from dataflix_source.description.yaml_file import DescriptionFile, read_description
from dataflix_source.errors import BusyError, RefusedError, SourceError
from dataflix_source.looking.check import check_source
from dataflix_source.looking.findings import Findings, Severity
from dataflix_source.looking.proposal import propose

_DESCRIPTION = """\
Copy the people, items and events of another application's database into Dataflix's own Postgres.

DATAFLIX_SOURCE_HOST, _PORT, _DB, _USER, _PASSWORD, _SSLMODE and _SSLROOTCERT, from the environment or
.env, say where that database is. Exit codes: 0 done, 1 refused or not valid, 2 wrong use, 3 a database
could not be reached or used, 130 interrupted. With any code but 0 nothing was changed.
"""
_INTERRUPTED = 130
# A week.
_MAX_EVERY_S = 604_800
_TIME = "%Y-%m-%d %H:%M:%S"
# A copy without changes takes about a tenth of a second.
_EVERY_S = 60


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if "file" in options and options.file is None:
            options.file = settings.load_description_file()
        return int(options.run(options))
    except SourceError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted. Nothing was changed.", file=sys.stderr)
        return _INTERRUPTED


def _inspect(options: argparse.Namespace) -> int:
    environ = _environ(options)
    if options.output and options.output.exists():
        raise RefusedError(f"{options.output} exists already; name another file with --output.")
    source = settings.load_source(environ)
    with source_snapshot(source) as session:
        text, notes = propose(session, source)
    for note in notes:
        print(note, file=sys.stderr)
    if options.output:
        try:
            replace_file(options.output, text, mode=None)
        except OSError as error:
            raise RefusedError(f"{options.output} can't be written: {error.strerror}.") from error
        user = f" --user {options.user}" if options.user else ""
        print(f"{options.output}: read it, correct it, then run ./run.sh source check{user} {options.output}")
    else:
        print(text, end="")
    return 0


def _check(options: argparse.Namespace) -> int:
    file = read_description(options.file)
    is_ours = file.description.source.kind == "ours"
    source = settings.load_own().as_source() if is_ours else settings.load_source(_environ(options))
    with source_snapshot(source) as session:
        _, findings = check_source(session, source, file.description)
    _tell(file, findings)
    if findings.problems:
        print(f"{len(findings.problems)} problem(s); nothing was changed.", file=sys.stderr)
        return 1
    print(f"{file.path} fits {source.address}.")
    if not is_ours:
        print(_next_step(file, options.user))
    return 0


def _next_step(file: DescriptionFile, user: str | None) -> str:
    # .env may name another file than this one.
    begin = f"./run.sh --source {file.path}"
    if file.description.source.copy_mode in (CopyMode.TRIGGERS, CopyMode.REPLICATION):
        return (
            f"Next: run what `./run.sh source script --user {user or 'OWNER'} {file.path}` prints in the"
            f" source, if that was not done since the file changed; then {begin}"
        )
    if user:
        return (
            f"Next: `./run.sh source check {file.path}`, without --user, names the rights that the role that"
            f" copies lacks; then {begin}"
        )
    return f"Next: {begin}"


def _script(options: argparse.Namespace) -> int:
    file = read_description(options.file)
    if options.remove:
        print(removal_script(file.description), end="")
        return 0
    make = {CopyMode.TRIGGERS: install_script, CopyMode.REPLICATION: slot.install_script}.get(
        file.description.source.copy_mode
    )
    if make is None:
        raise RefusedError(
            f"copy: {file.description.source.copy_mode} needs nothing in the source; copy: triggers and copy:"
            " replication do."
        )
    source = settings.load_source(_environ(options))
    reader = options.reader or settings.load_source(os.environ).user
    with source_snapshot(source) as session:
        catalog, findings = check_source(session, source, file.description)
        if findings.problems:
            _tell(file, findings)
            raise RefusedError("No script was printed: the problems above come first.")
        print(make(file.description, catalog, reader), end="")
    return 0


def _ready(options: argparse.Namespace) -> int:
    file = read_description(options.file)
    source = settings.load_source()
    refuse_unready(source, file.description)
    print(f"{source.address} is ready to be copied as {file.path} says.")
    return 0


def _copy(options: argparse.Namespace) -> int:
    result = _recorded(
        options.file,
        Options(options.compare, options.accept_source, options.accept_deletions, options.wait),
        progress=lambda text: None if options.quiet or options.json else print(f"  {text}", file=sys.stderr),
    )
    _tell_kept_notes(result)
    print(json.dumps(_as_json(result), indent=2) if options.json else _summary(result))
    return 0


def _recorded(path: Path, options: Options, progress: Callable[[str], None] = lambda _: None) -> CopyResult:
    """Copy, and record how it ended."""
    own = settings.load_own()
    try:
        result = copy(settings.load_source(), own, read_description(path).description, options, progress)
    except BusyError:
        raise
    except SourceError as error:
        try:
            attempts.record(own, str(error))
        except SourceError as second:
            print(f"That the copy failed could not be recorded: {second}", file=sys.stderr)
        raise
    attempts.record(own, None)
    return result


def _follow(options: argparse.Namespace) -> int:
    def copy_once() -> str:
        result = _recorded(options.file, Options())
        _tell_kept_notes(result)
        return "; ".join(map(_change, (change for change in result.changes if change.touched)))

    follow(copy_once, options.every, out=lambda text: print(text, flush=True))
    return 0


def _tell_kept_notes(result: CopyResult) -> None:
    if result.kept_notes:
        print(
            f"Copied. The source keeps the notes of it until the next copy: {result.kept_notes}",
            file=sys.stderr,
        )


def _status(options: argparse.Namespace) -> int:
    with own_transaction(settings.load_own()) as own:
        states, attempt = list(read_states(own).values()), attempts.read(own)
    if options.json:
        print(json.dumps(_status_json(states, attempt), indent=2))
        return 0
    if attempt and attempt.problem:
        print(f"The last copy failed, {attempt.ended_at:{_TIME}} UTC: {attempt.problem}")
        print(f"Copies have failed since {attempt.failing_since:{_TIME}} UTC.")
    if not states:
        print("Nothing was copied from another database yet.")
        return 0
    print(f"{states[0].source_name}: {states[0].identity}")
    print(f"copy: {states[0].mode}. {states[0].guarantee}")
    for state in states:
        left_out = f", {state.left_out_count:,} left out" if state.left_out_count else ""
        print(
            f"{state.entity}: {state.rows_count:,} rows{left_out}; read {state.read_at:{_TIME}} UTC,"
            f" compared {state.compared_at:{_TIME}} UTC"
        )
    return 0


def _status_json(states: list[CopyState], attempt: Attempt | None) -> dict[str, object]:
    first = states[0] if states else None
    return {
        "source": first and first.source_name,
        "identity": first and str(first.identity),
        "mode": first and first.mode,
        "guarantee": first and first.guarantee,
        "attempted_at": attempt and attempt.ended_at.isoformat(),
        "problem": attempt and attempt.problem,
        "failing_since": attempt and attempt.failing_since and attempt.failing_since.isoformat(),
        "entities": [
            {
                "entity": state.entity,
                "read_at": state.read_at.isoformat(),
                "compared_at": state.compared_at.isoformat(),
                "rows": state.rows_count,
                "left_out": state.left_out_count,
            }
            for state in states
        ],
    }


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0


def _tell(file: DescriptionFile, findings: Findings) -> None:
    for finding in findings.all:
        line = file.line(finding.place) if finding.place else None
        place = f"{file.path}:{line}" if line else file.path
        name = f"{finding.place}: " if finding.place else ""
        out = sys.stderr if finding.severity is Severity.PROBLEM else sys.stdout
        print(f"{place}: {finding.severity}: {name}{finding.text}", file=out)


def _summary(result: CopyResult) -> str:
    return "\n".join([*map(_change, result.changes), f"copy: {result.mode}. {result.guarantee}"])


def _change(change: Changes) -> str:
    how = "compared" if change.compared else "changes"
    left_out = f", {change.left_out:,} left out" if change.left_out else ""
    return (
        f"{change.entity} ({how}): {change.read:,} read, {change.inserted:,} new, {change.updated:,} changed,"
        f" {change.deleted:,} deleted{left_out}"
    )


def _as_json(result: CopyResult) -> dict[str, object]:
    return {
        "source": str(result.position.identity),
        "mode": str(result.mode),
        "guarantee": result.guarantee,
        "entities": {
            change.entity: {
                "compared": change.compared,
                "read": change.read,
                "inserted": change.inserted,
                "updated": change.updated,
                "deleted": change.deleted,
                "left_out": change.left_out,
            }
            for change in result.changes
        },
    }


def _environ(options: argparse.Namespace) -> Mapping[str, str]:
    """Return the environment, with another user if one was named."""
    if not options.user:
        return os.environ
    password = os.environ.get("DATAFLIX_SOURCE_CHECK_PASSWORD")
    if password is None:
        password = _ask_password(options.user)
    return {**os.environ, "DATAFLIX_SOURCE_USER": options.user, "DATAFLIX_SOURCE_PASSWORD": password}


def _ask_password(user: str) -> str:
    other_way = "or set DATAFLIX_SOURCE_CHECK_PASSWORD"
    try:
        return getpass.getpass(f"Password of {user}: ")
    except UnicodeDecodeError:
        # The error has bytes of the password.
        raise RefusedError(f"What was typed is not UTF-8. Set the terminal to UTF-8, {other_way}.") from None
    except EOFError:
        raise RefusedError(f"No password was typed. Type it, {other_way}.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dataflix-source", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: object, text: str, *, has_file: bool = True, has_user: bool = False
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        one.set_defaults(run=run)
        if has_file:
            one.add_argument(
                "file",
                nargs="?",
                type=argument_types.path,
                help="the description; by default what DATAFLIX_SOURCE_FILE in .env names, else"
                f" {settings.DESCRIPTION_FILE}",
            )
        if has_user:
            one.add_argument(
                "--user",
                help="a role that may read the tables, instead of DATAFLIX_SOURCE_USER; asks for its password"
                " unless"
                " DATAFLIX_SOURCE_CHECK_PASSWORD has it",
            )
        return one

    inspect = command(
        "inspect", _inspect, "look at the source and propose a description", has_file=False, has_user=True
    )
    inspect.add_argument(
        "--output",
        type=argument_types.path,
        metavar="FILE",
        help="where to write it; by default it is printed",
    )
    command("check", _check, "say what is missing before the first copy", has_user=True)
    script = command("script", _script, "print the SQL that the mode needs in the source", has_user=True)
    script.add_argument("--reader", help="the role that will copy (DATAFLIX_SOURCE_USER)")
    script.add_argument("--remove", action="store_true", help="print the SQL that takes it away again")
    command("ready", _ready, "say whether a copy could begin, with the rights of the role that copies")
    one = command("copy", _copy, "bring our own Postgres in line with the source")
    one.add_argument("--compare", action="store_true", help="read everything, not only changes")
    one.add_argument("--accept-source", action="store_true", help="take over a database that has moved")
    one.add_argument(
        "--accept-deletions", action="store_true", help="erase however many people and items are gone"
    )
    one.add_argument("--wait", action="store_true", help="let another copy end first")
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.add_argument("--quiet", action="store_true", help="no progress on stderr")
    one = command("follow", _follow, "copy again and again, until it is stopped; ./run.sh starts it")
    one.add_argument(
        "--every",
        type=argument_types.number(0, _MAX_EVERY_S),
        default=_EVERY_S,
        metavar="SECONDS",
        help=f"rest at least so long after each copy ({_EVERY_S}); a slow one rests twenty times its time",
    )
    status = command(
        "status", _status, "say what was copied from where, and what that guarantees", has_file=False
    )
    status.add_argument("--json", action="store_true", help="print it as JSON")
    command("schema", _schema, "print the JSON Schema of descriptions", has_file=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
