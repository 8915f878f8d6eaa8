"""Prints the findings of a report of pip-audit; `scripts/audit.sh` runs this for each lock.

pip-audit itself counts a package that its service does not know as a safe one.
"""

import json
import sys
from typing import Any

EXIT_NOT_KNOWN = 77


def main() -> None:
    """Read the report from stdin; exit with 0 for no finding, 1 for findings, 77 if data is missing."""
    try:
        packages = json.load(sys.stdin)["dependencies"]
    except (ValueError, KeyError):
        sys.exit(EXIT_NOT_KNOWN)
    sys.exit(report(packages))


def report(packages: list[dict[str, Any]]) -> int:
    """Print the advisories of the packages and return the exit code."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, advisory) for package in packages for advisory in package.get("vulns", [])]
    for package, advisory in found:
        fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
        print(f"   {package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    if skipped:
        print(f"   no advisory data for {len(skipped)} of {len(packages)} packages, such as {skipped[0]}")
    if found:
        return 1
    return EXIT_NOT_KNOWN if skipped else 0


if __name__ == "__main__":
    main()
