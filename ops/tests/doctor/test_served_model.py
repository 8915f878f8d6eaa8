"""The doctor compares the champion with what is served, and says what is wrong with a champion."""

import json
from pathlib import Path

import pytest

from dataflix_ops.doctor.check import CheckError
from dataflix_ops.doctor.models import compare_versions, load_champion
from dataflix_recommender.data.artifact import FORMAT_VERSION, MANIFEST


def test_the_champion_that_is_served_passes() -> None:
    assert compare_versions("7", {"source": "model", "model_version": "7"}) == "version 7"
    assert compare_versions("7", {"source": "model", "model_version": 7}) == "version 7"


@pytest.mark.parametrize(
    ("meta", "wanted"),
    [
        ({"source": "model", "model_version": "6"}, "champion is version 7, and the API serves version 6"),
        ({"source": "popularity", "model_version": None}, "version 7, and the API serves popularity"),
    ],
)
def test_another_served_version_is_named(meta: dict[str, object], wanted: str) -> None:
    with pytest.raises(CheckError, match=wanted):
        compare_versions("7", meta)


@pytest.mark.parametrize("version", [FORMAT_VERSION - 1, FORMAT_VERSION + 1, "old"])
def test_a_champion_of_another_format_is_named_with_what_to_do(tmp_path: Path, version: object) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"format_version": version}))
    with pytest.raises(CheckError, match=f"version 7 is an artifact of format {version}.*counts as none"):
        load_champion(tmp_path, "7")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", f'{{"format_version": {FORMAT_VERSION}}}'])
def test_a_damaged_champion_is_named_with_what_to_do(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(CheckError, match=r"version 7 is damaged: .*run\.sh pipeline"):
        load_champion(tmp_path, "7")
