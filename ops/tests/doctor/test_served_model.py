"""The doctor compares the champion with what is served, and says what is wrong with a champion."""

import json
from pathlib import Path

import pytest
import requests

from dataflix_ops.doctor import models
from dataflix_ops.doctor.check import CheckError
from dataflix_ops.doctor.models import compare_versions, load_champion
from dataflix_recommender.data.artifact import FORMAT_VERSION, MANIFEST
from dataflix_stack.config.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"DATAFLIX_MLFLOW_HOST": "127.0.0.1", "DATAFLIX_MLFLOW_PORT": "1", "DATAFLIX_MODEL_NAME": "m"}
    return Settings(values, tmp_path / "env", tmp_path)


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


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("check", ["_registry", "_champion", "_serves_champion"])
def test_without_a_champion_the_rule_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, status: int, check: str
) -> None:
    answer = requests.Response()
    answer.status_code = status
    monkeypatch.setattr(models, "request", lambda *_, **__: answer)
    with pytest.raises(CheckError, match=r"promotion rule has accepted no version yet.*run\.sh pipeline"):
        getattr(models, check)(settings)


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
