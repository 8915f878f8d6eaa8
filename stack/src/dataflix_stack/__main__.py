"""`python -m dataflix_stack`: what `run.sh` and `stop.sh` call."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from dataflix_common import argument_types
from dataflix_common.command_end import discard, prepare_streams, run_to_end
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.docker.up import up_in_docker
from dataflix_stack.errors import StackError
from dataflix_stack.progress import is_output_lost, say
from dataflix_stack.services.data import NONE, Chosen
from dataflix_stack.services.registry import SOURCE_PROGRAM
from dataflix_stack.status import status
from dataflix_stack.stop import stop
from dataflix_stack.up import pipeline, up


def main() -> None:
    """Run the command that the arguments name; exit with 1 and a message if it fails."""
    prepare_streams()
    # All that follows is for another program, options and help too.
    arguments = None if sys.argv[1:2] == ["source"] else _parser().parse_args()
    try:
        if arguments is None:
            _source(sys.argv[2:])
        succeeded = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except StackError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted. ./run.sh continues from here, ./stop.sh stops the services.")
    except BrokenPipeError:
        discard(sys.stdout)
        _fail("the program that reads the output has ended, so the output is not complete.")
    except OSError as error:
        discard(sys.stdout)
        _fail(_sentence(error))
    sys.exit(0 if succeeded and not is_output_lost() else 1)


def _fail(message: str) -> NoReturn:
    say(f"dataflix: {message}")
    sys.exit(1)


def _run(arguments: argparse.Namespace) -> bool:
    """Run a command; return whether it succeeded."""
    match arguments.command:
        case "status":
            return status(as_json=arguments.json)
        case "pipeline":
            pipeline(full=arguments.full, accept_source=arguments.accept_source)
        case "stop":
            stop(purge=arguments.purge, assume_yes=arguments.yes)
        case _:
            chosen = _chosen(arguments)
            if arguments.docker:
                up_in_docker(chosen)
            else:
                up(chosen)
    return True


def _chosen(arguments: argparse.Namespace) -> Chosen:
    if arguments.data == NONE:
        return Chosen(nothing=True)
    return Chosen(movielens=_real_path(arguments.data), description=_real_path(arguments.source))


def _real_path(path: str | None) -> Path | None:
    # Path.resolve() raises RuntimeError for links in a circle.
    return Path(os.path.realpath(path)) if path else None


def _given(text: str) -> str:
    """Return a path as it was typed: ./none is a folder, and none is not."""
    argument_types.path(text)
    return text


def _source(words: list[str]) -> NoReturn:
    """Become `dataflix-source`, with a `.env` to write settings into."""
    settings = stack_settings.load(create=True)
    environ = os.environ | {"DATAFLIX_ENV_FILE": str(settings.env_file)}
    os.execve(SOURCE_PROGRAM, [str(SOURCE_PROGRAM), *words], environ)  # noqa: S606  that is the purpose


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"the output can't be written, or another operation of the system failed: {reason}."
    return f"{error.filename} can't be used: {reason}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.sh", allow_abbrev=False)
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--data", type=_given, metavar="PATH|none", help="a MovieLens folder or zip; none: start empty"
    )
    data.add_argument("--source", type=_given, metavar="FILE", help="the description of your own database")
    parser.add_argument("--docker", action="store_true", help="run the services in containers")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("status").add_argument("--json", action="store_true")
    run_again = commands.add_parser("pipeline")
    run_again.add_argument("--full", action="store_true", help="load whole tables, not only changes")
    run_again.add_argument(
        "--accept-source",
        action="store_true",
        help="take over another database than the one that was copied and loaded",
    )
    stop = commands.add_parser("stop")
    stop.add_argument("--purge", action="store_true")
    stop.add_argument("--yes", action="store_true")
    return parser


if __name__ == "__main__":
    # For what argparse prints: the rest has ended well by then.
    sys.exit(run_to_end(main, "run.sh"))
