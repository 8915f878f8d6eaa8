"""How a command ends: with an exit code and, if something went wrong, one plain sentence on stderr.

Click does this for wrong arguments alone, and argparse likewise.
"""

import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

FAILED = 1
INTERRUPTED = 130
CLOSED_OUTPUT = "Standard output is closed; send it to /dev/null if nobody reads it."
# What asks a command for a text and for no work.
_ASKS_FOR_HELP = frozenset(["-h", "--help", "--version"])


def run_to_end(main: Callable[[], object], name: str) -> int:
    """Run a command's `main` and write all of its output; return the exit code.

    Args:
        main: returns an exit code, None, or what went wrong as a sentence; or raises SystemExit with one.
        name: of the command, for sentences.
    """
    is_closed = sys.stdout is None
    prepare_streams()
    if is_closed:
        # Before anything is done: what it has to say could not be said.
        say(f"{name}: {CLOSED_OUTPUT}")
        return FAILED
    sentence: str | None = None
    ended: object
    try:
        ended = main()
    except SystemExit as left:
        ended = left.code
    except BrokenPipeError:
        ended = code_without_reader()
    except KeyboardInterrupt:
        ended, sentence = INTERRUPTED, f"{name}: interrupted."
    except Exception as error:  # noqa: BLE001  reported, with its place in the code
        ended = f"{name} can't go on: {_reason(error)}."
    if isinstance(ended, int):
        code = ended
    else:
        code, sentence = (FAILED, str(ended)) if ended else (0, sentence)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        code = code or FAILED
        sentence = sentence or f"{name}: the output can't be written: {error.strerror}."
    if sentence:
        say(sentence)
    return code


def code_without_reader() -> int:
    """Return the exit code of a command whose reader has left, as `head` does when it has seen enough.

    Of a help nothing is missing. Other work is not done.
    """
    return 0 if _ASKS_FOR_HELP.intersection(sys.argv[1:]) else FAILED


def prepare_streams() -> None:
    """Make streams such that what is printed arrives whole, or `run_to_end` sees that it does not.

    Files that are opened later must not get into the place of a closed stream. argparse ignores errors of its
    own output, so this must be written at the end, whatever PYTHONUNBUFFERED says.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  for as long as the process runs
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its code, as for a path that is not UTF-8.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", write_through=stream is sys.stderr)


def say(text: str) -> bool:
    """Print a line on stderr; return whether it could be written. If not, no later one is tried."""
    if sys.stderr is None:
        return False
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)
        return False
    return True


def discard(stream: TextIO | None) -> None:
    """Lead a stream into nothing: Python would try once more at its end to write what is buffered."""
    if not isinstance(stream, io.TextIOWrapper):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _reason(error: Exception) -> str:
    """Return what went wrong, without a value that somebody entered."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    if hasattr(error, "pgcode"):
        # The text of an error of Postgres may show rows, or the password in an address.
        return f"an error of Postgres ({type(error).__name__}, SQLSTATE {error.pgcode}, {place})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({place})"
