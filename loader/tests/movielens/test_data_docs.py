"""The page about data names every reason for which a line is rejected."""

import re
from pathlib import Path

from dataflix_loader.movielens.rejects import Reason

ROOT = Path(__file__).resolve().parents[3]


def test_every_reason_is_documented() -> None:
    page = " ".join((ROOT / "docs" / "data.md").read_text().split())
    listed = set(re.findall(r"The reasons: (.*?)\.", page)[0].replace(" (the latest counts)", "").split(", "))
    assert {reason.value for reason in Reason} == listed
