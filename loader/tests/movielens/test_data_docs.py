"""The page about data names every reason for which a line is rejected."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_reason_is_documented() -> None:
    page = " ".join((ROOT / "docs" / "data.md").read_text().split())
    listed = set(re.findall(r"The reasons: (.*?)\.", page)[0].replace(" (the latest counts)", "").split(", "))
    used = set()
    for file in (ROOT / "loader" / "src" / "dataflix_loader" / "movielens").glob("*.py"):
        source = file.read_text()
        used |= set(re.findall(r'InvalidLineError\(\s*f?"([^":]+)', source))
        used |= set(re.findall(r'return f?"((?:wrong|empty|bad)[^":]+)', source))
        used |= set(re.findall(r'_FIELD, "([^":]+)', source))
        used |= set(re.findall(r"ordinal, '([a-z ]+)'", source))
        used |= set(re.findall(r'TOO_LONG = f"([^":]+)', source))
    assert used == listed
