"""`python -m dataflix_stack`: what `run.sh` and `stop.sh` call."""

import argparse
import sys
from pathlib import Path

from dataflix_stack.docker.up import up_in_docker
from dataflix_stack.errors import StackError
from dataflix_stack.status import status
from dataflix_stack.stop import stop
from dataflix_stack.up import pipeline, up


def main() -> None:
    """Run the command that the arguments name; exit with 1 and a message if it fails."""
    arguments = _parser().parse_args()
    try:
        match arguments.command:
            case "status":
                sys.exit(0 if status(as_json=arguments.json) else 1)
            case "pipeline":
                pipeline(full=arguments.full)
            case "stop":
                stop(purge=arguments.purge, assume_yes=arguments.yes)
            case _:
                data = arguments.data.resolve() if arguments.data else None
                if arguments.docker:
                    up_in_docker(data)
                else:
                    up(data)
    except StackError as error:
        sys.exit(f"dataflix: {error}")
    except KeyboardInterrupt:
        sys.exit("dataflix: interrupted. ./run.sh continues from here, ./stop.sh stops the services.")


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
    main()
