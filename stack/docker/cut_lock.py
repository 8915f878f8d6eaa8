"""Cut what one service needs out of a requirements.lock, byte for byte.

`cut_lock.py LOCK [NAME...] [--without NAME...]` prints the blocks of the named packages (none: of all) and
of everything they need, hashes and all. The lock's own `# via` comments tell who needs whom; a name may also
be a package of ours, which stands only in those comments. So an image installs the pins of the one lock and
nothing it has no use for; `pip check` tells should anything be missing.
"""

import argparse
import re
import sys
from pathlib import Path

_BLOCK_START = re.compile(r"^[A-Za-z0-9]")
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==")
# "    # via flask" or, below a bare "# via", "    #   flask (path)"; "-r FILE": what a file asks for.
_VIA = re.compile(r"^ +#(?: via)? +(?!via$)((?:-r )?[A-Za-z0-9][A-Za-z0-9._/-]*)")


class LockError(Exception):
    """The lock or the names asked for make no sense."""


def canonical(name: str) -> str:
    """Return the name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str) -> list[tuple[str, set[str], str]]:
    """Return (package, who needs it, its block of text) for each block, in the lock's order.

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
        wanted: names of packages, the lock's or ours; none stands for everything that was asked for.
        without: packages left out, together with what only they need.

    Raises:
        LockError: the lock knows a name neither as a package nor as one that needs others.
    """
    blocks = parse(text)
    packages = {name for name, _, _ in blocks}
    askers = {parent for _, needed_by, _ in blocks for parent in needed_by} - packages
    known = packages | askers
    chosen, barred = {canonical(name) for name in wanted} or askers, {canonical(name) for name in without}
    if unknown := (chosen | barred) - known:
        raise LockError(f"the lock does not know {', '.join(sorted(unknown))}")
    grown = True
    while grown:
        more = {name for name, needed_by, _ in blocks if needed_by & chosen} - barred
        grown = not more <= chosen
        chosen |= more
    return "".join(block for name, _, block in blocks if name in chosen)


def main() -> None:
    """Print the cut; exit 1 with a message when it can't be made."""
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
