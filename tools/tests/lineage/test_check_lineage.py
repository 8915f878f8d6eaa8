"""The check is green on the project, and finds each fault that is planted in a copy of its files."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dataflix_tools.lineage.api import openapi_document
from dataflix_tools.lineage.build import build
from dataflix_tools.lineage.chains import as_json, lines
from dataflix_tools.lineage.graph import Graph
from dataflix_tools.lineage.sql import Query, Schema

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "check_lineage.py"
FOLLOWED = (
    *("postgres/init", "clickhouse/init", "airflow/src/dataflix_elt", "dbt/models", "dbt/macros"),
    *("superset/assets", "trainer/src", "recommender/src", "backend/src"),
)

Plant = Callable[[str, str, str], None]
Findings = Callable[[], set[tuple[str, str]]]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in FOLLOWED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dbt" / "dbt_project.yml", tmp_path / "dbt" / "dbt_project.yml")
    return tmp_path


@pytest.fixture
def plant(copy: Path) -> Plant:
    def replace(file: str, old: str, new: str) -> None:
        path = copy / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r} to replace"
        path.write_text(text.replace(old, new, 1))

    return replace


@pytest.fixture(scope="module", autouse=True)
def each_query_is_parsed_once() -> Iterator[None]:
    """Most queries of a copy are those of the project, and parsing takes most of the time."""
    parse, known = Query.parse, dict[tuple[str, str, str], Query]()

    def parse_once(text: str, schema: Schema, dialect: str) -> Query:
        key = (text, json.dumps(schema, default=list), dialect)
        if key not in known:
            known[key] = parse(text, schema, dialect)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Query, "parse", staticmethod(parse_once))
        yield


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(ROOT)


@pytest.fixture(scope="module")
def whole(document: dict[str, Any]) -> Graph:
    return build(ROOT, document)


@pytest.fixture
def findings(copy: Path, document: dict[str, Any]) -> Findings:
    return lambda: {(found.file, found.name) for found in build(copy, document).findings}


def test_the_project_is_whole() -> None:
    result = run()
    assert (result.returncode, result.stderr) == (0, "")


def test_a_finding_names_file_and_column(copy: Path, plant: Plant) -> None:
    plant("postgres/init/05_masked_views.sql", "    p.email_hash,\n", "    u.email AS email_hash,\n")
    result = run("--root", str(copy))
    assert result.returncode == 1
    assert (
        "postgres/init/05_masked_views.sql: masked users.email_hash: shows the personal users.email unmasked"
        in result.stderr
    )


def test_a_renamed_view_column(findings: Findings, plant: Plant) -> None:
    plant("postgres/init/05_masked_views.sql", "    rated_at,\n", "    rated_at AS moment,\n")
    found = findings()
    assert ("clickhouse/init/20_raw_tables.sql", "clickhouse raw.ratings.rated_at") in found
    assert ("clickhouse/init/20_raw_tables.sql", "raw.ratings.moment") in found
    assert ("airflow/src/dataflix_elt/tables.py", "ratings.moment") in found


@pytest.mark.parametrize(
    "shown",
    [
        "u.email",
        "lower(u.email) AS email",
        "coalesce(p.email_hash, u.email) AS email",
        "left(u.email, 100) AS email",
        "left(u.username, 1) || u.email AS email",
    ],
)
def test_an_address_passed_through(findings: Findings, plant: Plant, shown: str) -> None:
    plant("postgres/init/05_masked_views.sql", "    u.created_at,\n", f"    {shown},\n    u.created_at,\n")
    assert ("postgres/init/05_masked_views.sql", "masked users.email") in findings()


def test_a_pseudonym_that_is_not_hashed(findings: Findings, plant: Plant) -> None:
    file = "postgres/init/05_masked_views.sql"
    hashed = (
        "pii.hmac_sha256(hmac_key.inner_block, hmac_key.outer_block, "
        "'email:' || lower(changed.email COLLATE \"C\"))"
    )
    plant(file, hashed, 'lower(changed.email COLLATE "C")')
    assert (file, "masked users.email_hash") in findings()


def test_a_new_column_of_people_that_nobody_classified(findings: Findings, plant: Plant) -> None:
    file = "postgres/init/03_tables.sql"
    plant(file, "    city text,\n", "    city text,\n    phone text,\n")
    plant("postgres/init/05_masked_views.sql", "    u.created_at,\n", "    u.created_at,\n    u.phone,\n")
    found = findings()
    assert (file, "users.phone") in found
    assert ("postgres/init/05_masked_views.sql", "masked users.phone") in found


def test_masked_data_in_a_mart(findings: Findings, plant: Plant) -> None:
    file = "dbt/models/marts/dim_users.sql"
    plant(file, "        shown.user_id,\n", "        shown.user_id,\n        users.email_hash,\n")
    joined = "    left join activity on shown.user_id = activity.user_id\n"
    plant(file, joined, joined + "\n    left join users on shown.user_id = users.user_id\n")
    found = findings()
    assert (file, "dbt dim_users.email_hash") in found
    assert ("dbt/models/marts/dim_users.yml", "dbt dim_users.email_hash") in found


def test_an_undocumented_mart_column(findings: Findings, plant: Plant) -> None:
    file = "dbt/models/marts/ratings_aggregated.yml"
    plant(file, "description: Number of users who gave a thumb up.", 'description: ""')
    assert findings() == {(file, "dbt ratings_aggregated.likes_count")}


def test_documentation_that_leads_nowhere(findings: Findings, plant: Plant) -> None:
    plant("dbt/models/docs.md", "{% docs email_hash %}", "{% docs address_hash %}")
    assert ("dbt/models/staging/stg_users.yml", "dbt stg_users.email_hash") in findings()


def test_a_contract_column_that_the_model_does_not_make(findings: Findings, plant: Plant) -> None:
    file = "dbt/models/marts/user_item_matrix.yml"
    plant(file, "      - name: weight\n", "      - name: confidence\n")
    found = findings()
    assert (file, "dbt user_item_matrix.confidence") in found
    assert (file, "dbt user_item_matrix.weight") in found


def test_a_model_that_reads_a_missing_column(findings: Findings, plant: Plant) -> None:
    file = "dbt/models/staging/stg_ratings.sql"
    plant(file, "        liked as is_liked,\n", "        thumb as is_liked,\n")
    assert findings() == {(file, "stg_ratings")}


def test_a_query_of_the_trainer_on_a_missing_column(findings: Findings, plant: Plant) -> None:
    file = "trainer/src/dataflix_trainer/data/warehouse.py"
    plant(file, "SELECT user_id, movie_id, weight,", "SELECT user_id, movie_id, confidence,")
    assert (file, "MATRIX_QUERY") in findings()


def test_a_model_input_without_source(findings: Findings, plant: Plant) -> None:
    file = "trainer/src/dataflix_trainer/registry/training_run.py"
    plant(file, '"ratings")', '"stars")')
    found = findings()
    assert (file, "signature inputs.stars") in found
    assert ("tools/src/dataflix_tools/lineage/declared.py", "signature inputs.ratings") in found


def test_an_api_field_without_source(copy: Path, plant: Plant) -> None:
    schemas = "backend/src/dataflix_backend/schemas"
    plant(f"{schemas}/movies.py", "    director: str | None\n", "    producer: str | None\n")
    found = {(finding.file, finding.name) for finding in build(copy).findings}
    assert (schemas, "MovieSummary.producer") in found


def test_a_chart_on_a_missing_column(findings: Findings, plant: Plant) -> None:
    file = "superset/assets/charts/aggregated_ratings.yaml"
    plant(file, "  - watches_count\n", "  - views_count\n")
    assert findings() == {(file, "chart Aggregated ratings.views_count")}


def test_a_data_set_on_a_missing_column(findings: Findings, plant: Plant) -> None:
    file = "superset/assets/datasets/Dataflix_warehouse/rating_details.yaml"
    plant(file, "expression: avg(rating)", "expression: avg(stars)")
    assert findings() == {(file, "dataset rating_details.mean_rating")}


def test_a_broken_file_is_told_and_no_traceback(copy: Path, plant: Plant) -> None:
    file = "dbt/models/marts/dim_movies.sql"
    plant(file, "{{ ref('stg_movies') }}", "{{ reference('stg_movies') }}")
    result = run("--root", str(copy))
    assert result.returncode == 1
    assert file in result.stderr
    assert "Traceback" not in result.stderr


def test_the_chain_of_a_rating_reaches_the_model_the_api_and_a_dashboard(whole: Graph) -> None:
    data = as_json(whole, whole.named("ratings.rating"))
    edges = {tuple(edge) for edge in data["edges"]}
    way = [
        "postgres ratings.rating",
        "masked ratings.rating",
        "clickhouse raw.ratings.rating",
        "dbt stg_ratings.rating",
        "dbt int_user_movie_events.rating",
        "dbt user_item_matrix.weight",
        "training MATRIX_QUERY.weight",
        "signature outputs.scores",
        "api Recommendation.score",
    ]
    assert set(pairwise(way)) <= edges
    assert ("dataset ratings_aggregated.bayesian_mean", "chart Aggregated ratings.bayesian_mean") in edges
    assert (
        "chart Aggregated ratings.bayesian_mean",
        "dashboard Dataflix Analytics.Aggregated ratings",
    ) in edges


def test_the_chain_of_an_address_ends_as_a_pseudonym(whole: Graph) -> None:
    data = json.loads(run("users.email", "--json").stdout)
    markings = {
        column["name"]: column["marking"]
        for column in data["columns"]
        if column["name"].startswith(("masked", "clickhouse", "dbt", "training", "dataset"))
    }
    assert markings.keys() == {
        "masked users.email_hash",
        "clickhouse raw.users.email_hash",
        "dbt stg_users.email_hash",
    }
    assert set(markings.values()) == {"pseudonymised"}
    printed = lines(whole, whole.named("users.email"))
    assert printed[0].startswith("* postgres users.email  [personal]")


def test_an_unknown_name_is_told() -> None:
    result = run("nothing_is_called_so")
    assert result.returncode == 1
    assert "nothing_is_called_so" in result.stderr
