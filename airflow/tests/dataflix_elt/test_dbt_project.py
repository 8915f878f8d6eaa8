"""The manifest follows the project, and its hash identifies the project."""

import json
from pathlib import Path
from typing import Any

import pytest

from dataflix_elt.clients.dbt_project import Model, manifest, manifest_sha256, models
from dataflix_elt.errors import DbtProjectError
from dataflix_elt.settings import DbtSettings


@pytest.fixture
def project(tmp_path: Path) -> DbtSettings:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: tiny\nprofile: tiny\n")
    (folder / "profiles.yml").write_text(
        "tiny: {target: t, outputs: {t: {type: clickhouse, schema: s, host: h, user: u, password: p}}}\n"
    )
    (folder / "models" / "one.sql").write_text("select 1 as n")
    (folder / "models" / "one.yml").write_text("models: [{name: one, description: The number one.}]")
    return DbtSettings(project=folder, target_folder=tmp_path / "target")


def test_the_manifest_follows_the_project(project: DbtSettings) -> None:
    path = manifest(project)
    first, made = manifest_sha256(path), path.stat().st_mtime_ns
    assert models(path) == {"model.tiny.one": Model("The number one.", ())}

    assert manifest(project).stat().st_mtime_ns == made

    # Parsed again from the same files: another time, the same hash.
    (project.target / "manifest.sources").unlink()
    assert manifest(project).stat().st_mtime_ns > made
    assert manifest_sha256(path) == first

    (project.project / "models" / "one.sql").rename(project.project / "models" / "two.sql")
    (project.project / "models" / "one.yml").unlink()
    assert list(models(manifest(project))) == ["model.tiny.two"]
    assert manifest_sha256(path) != first


def test_each_test_belongs_to_one_model(tmp_path: Path) -> None:
    def node(kind: str, *parents: str, at: str | None = None) -> dict[str, Any]:
        return {
            "resource_type": kind,
            "depends_on": {"nodes": list(parents)},
            "description": "",
            "attached_node": at,
        }

    nodes = {
        "model.stage": node("model", "source.raw"),
        "model.middle": node("model", "model.stage"),
        "model.end": node("model", "model.middle", "model.stage"),
        "model.other": node("model"),
        "test.of_one": node("test", "model.stage", at="model.stage"),
        "test.of_two": node("test", "model.stage", "model.middle", at="model.middle"),
        "test.written_apart": node("test", "model.end", "model.stage", "model.middle"),
        "test.of_a_source": node("test", "source.raw", at="source.raw"),
        "operation.hook": node("operation"),
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": nodes}))

    assert {name: model.tests for name, model in models(tmp_path / "manifest.json").items()} == {
        "model.stage": ("test.of_one",),
        "model.middle": ("test.of_two",),
        "model.end": ("test.written_apart",),
        "model.other": (),
    }


def test_a_project_that_cannot_be_parsed_raises_with_dbt_s_message(project: DbtSettings) -> None:
    (project.project / "models" / "two.sql").write_text("select * from {{ ref('three') }}")

    with pytest.raises(DbtProjectError, match="three"):
        manifest(project)


def test_a_folder_without_a_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(DbtProjectError, match="is no dbt project"):
        manifest(DbtSettings(project=tmp_path, target_folder=tmp_path / "target"))


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")

    with pytest.raises(DbtProjectError, match=r"manifest\.json cannot be read"):
        manifest_sha256(tmp_path / "manifest.json")
