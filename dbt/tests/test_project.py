"""Rules of the project, checked on its manifest: layers, names, docs, tests, contracts, exposures."""

import json
import re
from pathlib import Path

from .support.manifest import Manifest, Node
from .support.warehouse import PROJECT, run_dbt_command

PREFIXES = {"staging": ("stg_",), "intermediate": ("int_",)}


def _is_unique_key(test: Node) -> bool:
    return test["test_metadata"]["name"] in ("unique", "unique_combination_of_columns")


def test_graph_matches_the_stored_one(manifest: Manifest) -> None:
    stored = json.loads((Path(__file__).parent / "graph.json").read_text())
    found = {
        name: sorted(parent.split(".", 2)[2] for parent in manifest.parents(node["unique_id"]))
        for name, node in sorted(manifest.models.items())
    }
    assert found == stored, (
        f"if you changed the graph on purpose, write this to graph.json:\n{json.dumps(found, indent=2)}"
    )


def test_names_have_the_prefix_of_their_layer(manifest: Manifest) -> None:
    for name in manifest.models:
        layer = manifest.layer(name)
        if layer in PREFIXES:
            assert name.startswith(PREFIXES[layer]), name
        else:
            assert layer == "marts", name
            assert not name.startswith(("stg_", "int_")), name


def test_only_staging_reads_the_applications_tables(manifest: Manifest) -> None:
    application = {n["unique_id"] for name, n in manifest.sources.items() if name.startswith("raw.")}
    assert application
    for name, node in manifest.models.items():
        parents = set(manifest.parents(node["unique_id"]))
        if manifest.layer(name) == "staging":
            assert len(parents) == 1, name
            assert parents <= application, name
        else:
            assert not parents & application, f"{name} reads raw without its staging model"


def test_no_layer_reads_a_later_one(manifest: Manifest) -> None:
    order = ["staging", "intermediate", "marts"]
    layers = {node["unique_id"]: order.index(manifest.layer(name)) for name, node in manifest.models.items()}
    for unique_id, layer in layers.items():
        for parent in manifest.parents(unique_id):
            assert layers.get(parent, 0) <= layer, f"{unique_id} reads {parent}"


def test_every_application_table_is_staged_once(manifest: Manifest) -> None:
    for name, source in manifest.sources.items():
        if name.startswith("raw."):
            readers = manifest.content["child_map"][source["unique_id"]]
            models = [reader for reader in readers if reader.startswith("model.")]
            assert models == [f"model.dataflix.stg_{source['name']}"]


def test_each_model_has_a_yml_with_its_name_next_to_it(manifest: Manifest) -> None:
    for name, node in manifest.models.items():
        sql = Path(node["original_file_path"])
        assert sql.stem == name
        assert node["patch_path"] == f"dataflix://{sql.with_suffix('.yml')}"
        for test in manifest.unit_tests_of(name):
            assert test["original_file_path"] == str(sql.with_suffix(".yml")), test["name"]


def test_everything_has_a_description(manifest: Manifest) -> None:
    macros = [
        macro
        for macro in manifest.content["macros"].values()
        if macro["package_name"] == "dataflix" and not macro["name"].startswith("test_")
    ]
    for node in [*manifest.models.values(), *manifest.sources.values(), *manifest.exposures, *macros]:
        assert node["description"].strip(), node["unique_id"]
        for column in node.get("columns", {}).values():
            assert column["description"].strip(), f"{node['unique_id']}.{column['name']}"
    for test in manifest.data_tests:
        assert test.get("attached_node") or test["description"].strip(), test["name"]


def test_every_stored_model_has_a_tested_key(manifest: Manifest) -> None:
    for name, node in manifest.models.items():
        if node["config"]["materialized"] == "table" or manifest.layer(name) == "staging":
            assert any(map(_is_unique_key, manifest.tests_of(name))), f"{name}: no unique key is tested"


def test_key_columns_are_not_null(manifest: Manifest) -> None:
    for name in manifest.core_models:
        tests = manifest.tests_of(name)
        not_null = {t["column_name"] for t in tests if t["test_metadata"]["name"] == "not_null"}
        for key in filter(_is_unique_key, tests):
            columns = key["test_metadata"]["kwargs"].get("columns") or [key["column_name"]]
            types = [manifest.models[name]["columns"][column]["data_type"] for column in columns]
            nullable = [c for c, kind in zip(columns, types, strict=True) if not kind or "Nullable" in kind]
            assert set(nullable) <= not_null, f"{name}: {columns} is a key and may be NULL"


def test_core_models_have_unit_tests(manifest: Manifest) -> None:
    for name in manifest.core_models:
        assert manifest.unit_tests_of(name), f"{name} has no unit test"


def test_marts_have_a_contract(manifest: Manifest) -> None:
    for name, node in manifest.models.items():
        is_mart = manifest.layer(name) == "marts"
        assert node["contract"]["enforced"] is is_mart, name
        assert node["access"] == {"marts": "public", "intermediate": "private"}.get(
            manifest.layer(name), "protected"
        )
        if is_mart:
            assert all(column["data_type"] for column in node["columns"].values()), name


def test_tables_declare_engine_and_order(manifest: Manifest) -> None:
    for name, node in manifest.models.items():
        config = node["config"]
        assert config["materialized"] in ("view", "table"), f"{name}: only views and tables are allowed"
        if config["materialized"] == "table":
            stated = node["unrendered_config"]
            assert {"engine", "order_by"} <= stated.keys(), name
            assert set(config["order_by"]) <= node["columns"].keys(), name
        assert node["schema"] == "analytics", name


def test_column_names_fit_their_type(manifest: Manifest) -> None:
    for name, node in manifest.models.items():
        for column in node["columns"].values():
            kind, label = column["data_type"] or "", f"{name}.{column['name']}"
            assert column["name"] == column["name"].lower(), label
            assert ("Bool" in kind) <= column["name"].startswith(("is_", "has_")), label
            assert ("DateTime" in kind) <= column["name"].endswith("_at"), label


def test_exposures_read_public_marts_and_every_mart_is_read(manifest: Manifest) -> None:
    public = {node["unique_id"] for node in manifest.models.values() if node["access"] == "public"}
    needed = set()
    for exposure in manifest.exposures:
        assert exposure["owner"]["name"], exposure["name"]
        assert set(exposure["depends_on"]["nodes"]) <= public, exposure["name"]
        needed |= manifest.ancestors(exposure["unique_id"])
    assert public <= needed, "no exposure reads this mart, directly or through another one"
    assert "Dataflix Analytics" in {exposure["label"] for exposure in manifest.exposures}


def test_sources_have_a_freshness_check(manifest: Manifest) -> None:
    for name, source in manifest.sources.items():
        if name.startswith("raw."):
            assert "load_audit" in source["loaded_at_query"], name
            assert source["freshness"]["warn_after"]["count"] > 24, "a daily run must not warn each day"
            assert source["freshness"]["error_after"]["count"], name


def test_each_data_test_belongs_to_one_model(manifest: Manifest) -> None:
    """The pipeline shows a test at the model that is built last; no single model may be missing for that."""
    for test in manifest.data_tests:
        tested = set(manifest.parents(test["unique_id"]))
        last = [node for node in tested if tested <= {node} | manifest.ancestors(node)]
        assert last, f"{test['name']} needs {sorted(tested)}, and none of them is built last"


def test_every_var_is_used_and_every_used_var_is_defined() -> None:
    vars_block = (PROJECT / "dbt_project.yml").read_text().partition("\nvars:\n")[2]
    defined = set(re.findall(r"^  (\w+):", vars_block, flags=re.MULTILINE))
    used = {
        var
        for folder in ("models", "macros", "data_tests")
        for path in (PROJECT / folder).rglob("*.*")
        for var in re.findall(r"var\('(\w+)'", path.read_text())
    }
    assert used == defined


def test_no_packages_and_no_usage_statistics() -> None:
    assert "\n  send_anonymous_usage_stats: false\n" in (PROJECT / "dbt_project.yml").read_text()
    assert not list(PROJECT.glob("packages.yml")) + list(PROJECT.glob("dependencies.yml"))


def test_missing_password_is_an_error_that_names_it(tmp_path: Path) -> None:
    result = run_dbt_command("parse", work=tmp_path, environ={})
    assert result.exit_code != 0
    assert "Env var required but not provided: 'DATAFLIX_CLICKHOUSE_DBT_PASSWORD'" in result.output
