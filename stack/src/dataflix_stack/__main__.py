"""`python -m dataflix_stack`: what `run.sh` and `stop.sh` call."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from dataflix_common.command_end import discard, prepare_streams, run_to_end
from dataflix_stack.docker.up import up_in_docker
from dataflix_stack.errors import StackError
from dataflix_stack.progress import is_output_lost, say
from dataflix_stack.status import status
from dataflix_stack.stop import stop
from dataflix_stack.up import pipeline, up


def main() -> None:
    """Run the command that the arguments name; exit with 1 and a message if it fails."""
    prepare_streams()
    arguments = _parser().parse_args()
    try:
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
            pipeline(full=arguments.full)
        case "stop":
            stop(purge=arguments.purge, assume_yes=arguments.yes)
        case _:
            # Path.resolve() raises RuntimeError for links in a circle.
            data = Path(os.path.realpath(arguments.data)) if arguments.data else None
            if arguments.docker:
                up_in_docker(data)
            else:
                up(data)
    return True


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"the output can't be written, or another operation of the system failed: {reason}."
    return f"{error.filename} can't be used: {reason}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.sh", allow_abbrev=False)
    parser.add_argument("--data", type=Path, metavar="PATH", help="a MovieLens folder or zip")
    parser.add_argument("--docker", action="store_true", help="run the services in containers")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("status").add_argument("--json", action="store_true")
    run_again = commands.add_parser("pipeline")
    run_again.add_argument("--full", action="store_true", help="load whole tables, not only changes")
    stop = commands.add_parser("stop")
    stop.add_argument("--purge", action="store_true")
    stop.add_argument("--yes", action="store_true")
    return parser


if __name__ == "__main__":
    # For what argparse prints: the rest has ended well by then.
    sys.exit(run_to_end(main, "run.sh"))
