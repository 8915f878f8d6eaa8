"""Every chart has rows, filters change the query, and nobody sees data without a log-in."""

from typing import Any

import pytest
import requests

from .bundle_files import objects
from .conftest import Superset
from .warehouse import DRAMA_RATINGS, MOVIES, USERS

# The first test waits for the set-up of warehouse and Superset: minutes on a busy machine.
pytestmark = pytest.mark.timeout(1800)

CHARTS = objects("charts")


@pytest.fixture(scope="session")
def chart_ids(superset: Superset, admin: requests.Session) -> dict[str, int]:
    answer = admin.get(superset.url + "/api/v1/chart/?q=(page_size:100)", timeout=30)
    return {chart["slice_name"]: chart["id"] for chart in answer.json()["result"]}


def data_of(superset: Superset, admin: requests.Session, chart_id: int) -> list[dict[str, Any]]:
    answer = admin.get(f"{superset.url}/api/v1/chart/{chart_id}/data/", timeout=60)
    assert answer.ok, answer.text
    results = answer.json()["result"]
    assert [result["error"] for result in results] == [None] * len(results)
    return [row for result in results for row in result["data"]]


@pytest.mark.parametrize("path", CHARTS)
def test_query_of_a_chart_returns_rows(
    superset: Superset, admin: requests.Session, chart_ids: dict[str, int], path: str
) -> None:
    assert data_of(superset, admin, chart_ids[CHARTS[path]["slice_name"]])


def test_charts_show_the_numbers_of_the_warehouse(
    superset: Superset, admin: requests.Session, chart_ids: dict[str, int]
) -> None:
    watched = data_of(superset, admin, chart_ids["Total watched"])
    assert sum(row["watches_count"] for row in watched) == USERS * MOVIES - MOVIES
    assert data_of(superset, admin, chart_ids["Catalogue coverage"]) == [{"coverage": 0.5}]
    loads = data_of(superset, admin, chart_ids["Latest loads"])
    assert {row["table_name"]: row["rows_count"] for row in loads} == {
        "users": USERS,
        "movies": MOVIES,
        "ratings": USERS * MOVIES - MOVIES,
        "watched_movies": USERS * MOVIES - MOVIES,
    }
    layers = {row["layer"] for row in data_of(superset, admin, chart_ids["Data quality by layer"])}
    assert layers == {"raw", "staging", "intermediate", "marts"}


def test_genre_filter_changes_the_query(superset: Superset, admin: requests.Session) -> None:
    question = "/api/v1/dataset/?q=(filters:!((col:table_name,opr:eq,value:rating_details)))"
    found = admin.get(superset.url + question, timeout=30).json()["result"]
    body = {
        "datasource": {"id": found[0]["id"], "type": "table"},
        "queries": [
            {"metrics": ["ratings_count"], "filters": [{"col": "genre", "op": "IN", "val": ["Drama"]}]}
        ],
    }
    answer = admin.post(superset.url + "/api/v1/chart/data", json=body, timeout=60)
    assert answer.json()["result"][0]["data"] == [{"ratings_count": DRAMA_RATINGS}]


def test_rows_of_every_data_set_can_be_read(superset: Superset, admin: requests.Session) -> None:
    found = admin.get(superset.url + "/api/v1/dataset/?q=(page_size:100)", timeout=30).json()["result"]
    assert len(found) == len(objects("datasets"))
    with superset.browser() as session:
        for dataset in found:
            parameters = {"datasource_type": "table", "datasource_id": dataset["id"], "per_page": "5"}
            url = superset.url + "/datasource/samples"
            answer = session.post(url, params=parameters, json={}, timeout=60)
            assert answer.ok, f"{dataset['table_name']}: {answer.text}"
            assert answer.json()["result"]["rowcount"], dataset["table_name"]


@pytest.mark.parametrize(
    "path", ["dashboard/", "chart/", "chart/1/data/", "dataset/", "database/", "_openapi"]
)
def test_api_needs_a_log_in(superset: Superset, path: str) -> None:
    assert requests.get(f"{superset.url}/api/v1/{path}", timeout=30).status_code == 401


@pytest.mark.parametrize(
    "path", ["", "superset/welcome/", "superset/dashboard/dataflix-analytics/", "sqllab/"]
)
def test_pages_redirect_to_the_log_in(superset: Superset, path: str) -> None:
    answer = requests.get(f"{superset.url}/{path}", timeout=30)
    assert answer.url.startswith(superset.url + "/login/")
    assert "Dataflix Analytics" not in answer.text


def test_wrong_password_is_refused(superset: Superset) -> None:
    body = {"username": "admin", "password": "admin", "provider": "db"}
    answer = requests.post(superset.url + "/api/v1/security/login", json=body, timeout=30)
    assert answer.status_code == 401


def test_log_in_form_needs_its_token(superset: Superset) -> None:
    form = {"username": "admin", "password": superset.password}
    with requests.Session() as session:
        session.post(superset.url + "/login/", data=form, timeout=30)
        assert session.get(superset.url + "/api/v1/me/", timeout=30).status_code == 401
    with superset.browser() as session:
        me = session.get(superset.url + "/api/v1/me/", timeout=30)
        assert me.json()["result"]["username"] == "admin"


def test_browser_may_load_nothing_from_other_servers(superset: Superset) -> None:
    policy = requests.get(superset.url + "/login/", timeout=30).headers["Content-Security-Policy"]
    assert "http" not in policy
    assert "default-src 'self'" in policy


def test_charts_have_only_the_rights_of_the_reader(superset: Superset, admin: requests.Session) -> None:
    database = admin.get(superset.url + "/api/v1/database/", timeout=30).json()["result"][0]
    url = f"{superset.url}/api/v1/database/{database['id']}"
    assert admin.get(f"{url}/schemas/", timeout=60).json()["result"] == ["analytics"]
    refused = admin.get(f"{url}/tables/?q=(schema_name:raw)", timeout=60)
    assert not refused.ok
    assert "Not enough privileges" in refused.text
