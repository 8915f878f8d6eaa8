"""Start of the command ``dataflix``: an interrupt ends it plainly while the program is still being loaded."""

import os
import signal

_INTERRUPTED = 130


def main() -> None:
    """Load and run the command line."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from dataflix_cli.main import main as run  # noqa: PLC0415 - half a second

    run()


if __name__ == "__main__":
    main()
