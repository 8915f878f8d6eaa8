"""The command ``dataflix``: its subcommands and how it ends."""

import os
import sys

import click

from dataflix_cli.commands.block import block
from dataflix_cli.commands.feedback import feedback
from dataflix_cli.commands.movies import genres, movies, popular, trending
from dataflix_cli.commands.ratings import add as rate
from dataflix_cli.commands.ratings import ratings
from dataflix_cli.commands.recommend import recommend, recommend_to_session
from dataflix_cli.commands.rules import rules
from dataflix_cli.commands.service import completion, health, model
from dataflix_cli.commands.users import users
from dataflix_cli.commands.watched import watched
from dataflix_cli.errors import CliError, Exit
from dataflix_cli.menu.main import run as run_menu
from dataflix_cli.output import Output
from dataflix_cli.session import Session

_EPILOG = """\
The address and the key of the API come from --api-url, the environment (DATAFLIX_API_URL, or
DATAFLIX_BACKEND_HOST and DATAFLIX_BACKEND_PORT; DATAFLIX_API_KEY), or the .env file in this folder or the
nearest folder above it. DATAFLIX_ENV_FILE names another file. Option and environment are one source, the file
is another, and a key is only sent to an address of its own source. A .env of another account must be named.

Data goes to standard output, everything else to standard error. NO_COLOR turns colours off.

Exit codes: 0 success; 1 another error; 2 wrong usage, or a value that the API refuses; 3 no such user, movie,
rating, rule or model; 4 the API does not answer or cannot work now; 5 the API key is missing or refused; 130
interrupted.
"""


@click.group(
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
    completion,
):
    cli.add_command(command)
cli.add_command(rate, "rate")
# `dataflix user erase NAME` reads better for commands on one person.
cli.add_command(click.Group("user", users.commands, hidden=True, help=users.help))


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its code.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run with ``arguments`` and return the exit code."""
    try:
        result = cli.main(arguments, prog_name="dataflix", standalone_mode=False)
        sys.stdout.flush()
    except CliError as error:
        Output().error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe. The rest of the buffer must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return result if isinstance(result, int) else Exit.OK
