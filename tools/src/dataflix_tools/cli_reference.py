"""Writes docs/cli.md from the help texts of `dataflix`.

Use: scripts/generate_cli_reference.py [--check]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dataflix_cli.main import cli

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "cli.md"

_HEADER = """\
# The `dataflix` command

Made from the command's own help by `scripts/generate_cli_reference.py`.

"""
_WIDTH = 80


def reference() -> str:
    """Return the whole document."""
    context = click.Context(cli, info_name="dataflix", terminal_width=_WIDTH, **cli.context_settings)
    return _HEADER + "\n".join(_sections(cli, context))


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    depth = "##" if context.parent is None else "###"
    yield f"{depth} {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            if inner.hidden:
                continue
            yield from _sections(
                inner, click.Context(inner, info_name=name, parent=context, terminal_width=_WIDTH)
            )


def main() -> int:
    """Write the document, or with --check say whether it is current; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/cli.md from the help of dataflix.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the file is not current"
    )
    if parser.parse_args().check:
        current = DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == reference()
        if not current:
            print(f"{DOCUMENT} is not current: run scripts/generate_cli_reference.py", file=sys.stderr)
        return 0 if current else 1
    DOCUMENT.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
