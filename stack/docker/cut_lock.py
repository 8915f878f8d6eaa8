"""Cuts the packages that one service needs out of a requirements.lock, byte for byte.

`cut_lock.py LOCK [NAME...] [--without NAME...]` prints the blocks of the named packages, or of all if none is
named, and of their dependencies, with hashes. The dependencies come from the lock's own `# via` comments. A
name may also be a package of ours, which stands only in those comments. So an image installs the versions of
the one lock and nothing that it does not need; `pip check` fails if something is missing.
"""

import argparse
import re
import sys
from pathlib import Path

_BLOCK_START = re.compile(r"^[A-Za-z0-9]")
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==")
# "    # via flask" or, below a bare "# via", "    #   flask (path)"; "-r FILE" is a file of requirements.
_VIA = re.compile(r"^ +#(?: via)? +(?!via$)((?:-r )?[A-Za-z0-9][A-Za-z0-9._/-]*)")


class LockError(Exception):
    """The lock is malformed, or does not have a name that was asked for."""


def canonical(name: str) -> str:
    """Return the name in the form in which package indexes compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str) -> list[tuple[str, set[str], str]]:
    """Return (package, packages that need it, its text) for each block, in the lock's order.

    A package locked differently for two versions of Python has two blocks.

    Raises:
        LockError: a block does not begin with NAME==VERSION.
    """
    blocks: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if _BLOCK_START.match(line):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
    parsed = []
    for lines in blocks:
        match = _PACKAGE.match(lines[0])
        if match is None:
            raise LockError(f"not a pinned requirement: {lines[0].strip()!r}")
        needed_by = {canonical(via[1]) for line in lines[1:] if (via := _VIA.match(line))}
        parsed.append((canonical(match[1]), needed_by, "".join(lines)))
    return parsed


def cut(text: str, wanted: list[str], without: list[str]) -> str:
    """Return the part of the lock that `wanted` needs.

    Args:
        text: the lock.
        wanted: names of packages of the lock or of ours; empty for all.
        without: packages to leave out, with the dependencies that only they have.

    Raises:
        LockError: the lock does not have one of the names.
    """
    blocks = parse(text)
    packages = {name for name, _, _ in blocks}
    askers = {parent for _, needed_by, _ in blocks for parent in needed_by} - packages
    known = packages | askers
    chosen, excluded = {canonical(name) for name in wanted} or askers, {canonical(name) for name in without}
    if unknown := (chosen | excluded) - known:
        raise LockError(f"the lock does not have {', '.join(sorted(unknown))}")
    grown = True
    while grown:
        more = {name for name, needed_by, _ in blocks if needed_by & chosen} - excluded
        grown = not more <= chosen
        chosen |= more
    return "".join(block for name, _, block in blocks if name in chosen)


def main() -> None:
    """Print the part of the lock; exit with 1 and a message on an error."""
    parser = argparse.ArgumentParser(description="cut one service's part out of a lock")
    parser.add_argument("lock", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME")
    arguments = parser.parse_args()
    try:
        sys.stdout.write(cut(arguments.lock.read_text(), arguments.names, arguments.without))
    except (LockError, OSError) as error:
        sys.exit(f"cut_lock.py: {arguments.lock}: {error}")


if __name__ == "__main__":
    main()
