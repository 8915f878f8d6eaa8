"""Prints the slowest tests of several pytest runs: python -m dataflix_tools.slowest_tests REPORT.xml ..."""

import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

# As many as fit on a screen.
SHOWN = 20


class Timed(NamedTuple):
    """One test and its time in seconds, set-up and teardown included."""

    seconds: float
    name: str


def slowest(reports: list[Path], count: int = SHOWN) -> list[Timed]:
    """Return the slowest tests of JUnit reports, the slowest first.

    A report that is empty or cut off is left out: its run was stopped, and the run itself says so.
    """
    timed = []
    for report in reports:
        try:
            # The reports are pytest's own, made in this run.
            root = ElementTree.parse(report).getroot()  # noqa: S314
        except ElementTree.ParseError:
            continue
        timed += [
            Timed(float(case.attrib["time"]), f"{case.attrib['classname']}::{case.attrib['name']}")
            for case in root.iter("testcase")
        ]
    return sorted(timed, reverse=True)[:count]


def main() -> None:
    """Print one line per test."""
    found = slowest([Path(name) for name in sys.argv[1:]])
    if found:
        print(f"== the slowest {len(found)} tests")
    for seconds, name in found:
        print(f"{seconds:8.1f} s  {name}")


if __name__ == "__main__":
    main()
