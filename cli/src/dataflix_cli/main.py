"""The command ``dataflix``: its subcommands and how it ends."""

import os
import signal
import sys
from pathlib import Path

import click

from dataflix_cli.commands.block import block
from dataflix_cli.commands.feedback import feedback
from dataflix_cli.commands.movies import genres, movies, popular, trending
from dataflix_cli.commands.ratings import add as rate
from dataflix_cli.commands.ratings import ratings
from dataflix_cli.commands.recommend import recommend, recommend_to_session
from dataflix_cli.commands.rules import rules
from dataflix_cli.commands.service import completion, health, model
from dataflix_cli.commands.source import source
from dataflix_cli.commands.users import users
from dataflix_cli.commands.watched import watched
from dataflix_cli.errors import CancelledError, CliError, Exit, unexpected
from dataflix_cli.menu.main import run as run_menu
from dataflix_cli.output import Output
from dataflix_cli.session import Session
from dataflix_common.click_group import OutputErrorsGroup

_EPILOG = """\
The address and the key of the API come from --api-url, the environment (DATAFLIX_API_URL, or
DATAFLIX_BACKEND_HOST and DATAFLIX_BACKEND_PORT; DATAFLIX_API_KEY), or the .env file in this folder or the
nearest folder above it. DATAFLIX_ENV_FILE names another file. Option and environment are one source, the file
is another, and a key is only sent to an address of its own source. A .env of another account must be named.

A user is an id or a username, a movie an id or a title. Where a text is both, id:5 is the id, name:5 the
username and title:5 the title. Where Dataflix serves another application, movies are its items, users its
people, and ids are those that it gives them.

Data goes to standard output, everything else to standard error. NO_COLOR turns colours off.

Exit codes: 0 success, also when the reader of a pipe stops; 1 another error; 2 wrong usage, or a value that
the API refuses; 3 no such user, movie, rating, rule or model; 4 the API does not answer or cannot work now; 5
the API key is missing or refused; 130 interrupted.
"""


@click.group(
    cls=OutputErrorsGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)
@click.option("--api-url", metavar="URL", help="Address of the API.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answers as JSON.")
@click.version_option(package_name="dataflix-cli", message="%(version)s")
@click.pass_context
def cli(context: click.Context, api_url: str | None, as_json: bool) -> None:
    """Rate movies and get recommendations. Without a command, a terminal shows a menu."""
    session = Session(api_url, Output())
    session.output.as_json = as_json
    context.obj = session
    if context.invoked_subcommand is not None:
        return
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(context.get_help(), err=True)
        context.exit(Exit.USAGE)
    run_menu(session)


for command in (
    users,
    movies,
    watched,
    ratings,
    recommend,
    recommend_to_session,
    feedback,
    block,
    rules,
    trending,
    popular,
    genres,
    model,
    health,
    source,
    completion,
):
    cli.add_command(command)
cli.add_command(rate, "rate")
# `dataflix user erase NAME` reads better for commands on one person.
cli.add_command(click.Group("user", users.commands, hidden=True, help=users.help))


def main() -> None:
    """Run the command line and exit with its code."""
    is_closed = sys.stdout is None
    sys.stdin, sys.stdout, sys.stderr = (
        stream or Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open until the end
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its code.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # What is not UTF-8 is refused where it is used, with its text.
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    if is_closed:
        # Before anything is done: a command must not act when its answer cannot be given.
        sys.exit(_report(CliError("Standard output is closed.", "Send it to /dev/null if nobody reads it.")))
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt_once)
    try:
        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    sys.exit(code)


def _interrupt_once(_number: int, _frame: object) -> None:
    # A second Ctrl-C while the program leaves would end it with a traceback and the signal's code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Run with ``arguments`` and return the exit code."""
    try:
        result = cli.main(arguments, prog_name="dataflix", standalone_mode=False)
        sys.stdout.flush()
        code = result if isinstance(result, int) else Exit.OK
    except click.ClickException as error:
        code = _report(error)
    except (click.Abort, KeyboardInterrupt):
        code = _report(CancelledError())
    except BrokenPipeError:
        # The reader has closed the pipe: it has what it wanted.
        code = Exit.OK
    except CliError as error:
        code = _report(error)
    except OSError as error:
        code = _report(CliError(f"The output cannot be written: {error.strerror or error}."))
    except Exception as error:  # noqa: BLE001 - reported, with its place
        code = _report(unexpected(error))
    _drop_unwritable()
    return code


def _report(error: CliError | click.ClickException) -> int:
    """Print the error and return its exit code."""
    try:
        if isinstance(error, click.ClickException):
            error.show()
        else:
            Output().error(error)
    except OSError:
        # Standard error cannot be written: only the exit code can still say it.
        pass
    return error.exit_code


def _drop_unwritable() -> None:
    """Empty the buffers; what cannot be written must not fail once more at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
