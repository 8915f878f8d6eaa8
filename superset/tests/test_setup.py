"""The set-up: a second run changes nothing, and later runs apply what changed."""

import shutil
from pathlib import Path

import pytest
import requests

from dataflix_testkit.process import random_password

from .bundle_files import ASSETS, objects
from .conftest import Superset

# The first test waits for the set-up of warehouse and Superset: minutes on a busy machine.
pytestmark = pytest.mark.timeout(1800)

# When each object was last written.
STATE = """
select 'chart', uuid::text, changed_on from slices
union all select 'dashboard', uuid::text, changed_on from dashboards
union all select 'dataset', uuid::text, changed_on from tables
union all select 'database', uuid::text, changed_on from dbs
order by 1, 2
"""


def test_second_run_changes_nothing(superset: Superset) -> None:
    before = superset.rows(STATE)
    assert len(before) == sum(
        len(objects(kind)) for kind in ("charts", "dashboards", "datasets", "databases")
    )
    again = superset.set_up()
    assert again.returncode == 0, again.stderr
    assert "set up already" in again.stderr
    assert superset.rows(STATE) == before


def test_nothing_is_written_outside_the_state_folder(superset: Superset) -> None:
    """HOME is a folder that does not exist, and neither the set-up nor the server creates it."""
    assert (Path(superset.environ["DATAFLIX_HOME"]) / "superset").is_dir()
    assert not Path(superset.environ["HOME"]).exists()


@pytest.mark.parametrize(
    "name",
    [
        "DATAFLIX_SUPERSET_ADMIN_PASSWORD",
        "DATAFLIX_CLICKHOUSE_READER_PASSWORD",
        "DATAFLIX_SUPERSET_SECRET_KEY",
        "DATAFLIX_POSTGRES_SUPERSET_PASSWORD",
        "DATAFLIX_HOME",
    ],
)
def test_missing_setting_is_named(superset: Superset, name: str) -> None:
    refused = superset.set_up(**{name: ""})
    assert refused.returncode == 1
    assert f"{name} is not set" in refused.stderr


@pytest.mark.parametrize("name", ["DATAFLIX_CLICKHOUSE_PORT", "DATAFLIX_POSTGRES_PORT"])
def test_invalid_port_is_named(superset: Superset, name: str) -> None:
    refused = superset.set_up(**{name: "80 80"})
    assert refused.returncode == 1
    assert f"{name} must be" in refused.stderr
    assert "'80 80'" in refused.stderr


@pytest.mark.parametrize("host", ["[::1", "h?x"])
def test_an_invalid_host_is_named_and_the_password_is_not(superset: Superset, host: str) -> None:
    refused = superset.set_up(DATAFLIX_POSTGRES_HOST=host)
    assert refused.returncode == 1
    assert "DATAFLIX_POSTGRES_HOST" in refused.stderr
    assert superset.environ["DATAFLIX_POSTGRES_SUPERSET_PASSWORD"] not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


def test_another_secret_key_is_refused_and_changes_nothing(superset: Superset) -> None:
    before = superset.rows(STATE)
    refused = superset.set_up(DATAFLIX_SUPERSET_SECRET_KEY=random_password())
    assert refused.returncode == 1
    assert "DATAFLIX_SUPERSET_SECRET_KEY is not the one" in refused.stderr
    assert superset.rows(STATE) == before


def test_unreachable_database_is_reported(superset: Superset) -> None:
    refused = superset.set_up(DATAFLIX_POSTGRES_PORT="1")
    assert refused.returncode == 1
    assert "database can't be reached" in refused.stderr


def test_broken_bundle_is_refused_and_changes_nothing(superset: Superset, tmp_path: Path) -> None:
    shutil.copytree(ASSETS, tmp_path / "assets")
    broken = tmp_path / "assets" / "charts" / "trending_movies.yaml"
    broken.write_text(broken.read_text().replace("\nviz_type: echarts_timeseries_bar\n", "\n"))
    before = superset.rows(STATE)
    refused = superset.set_up(str(tmp_path / "assets"))
    assert refused.returncode == 1
    assert "charts/trending_movies.yaml" in refused.stderr
    assert superset.rows(STATE) == before


def test_objects_that_left_the_bundle_are_deleted_and_the_password_changes(
    superset: Superset, tmp_path: Path
) -> None:
    shutil.copytree(ASSETS, tmp_path / "assets")
    dropped = objects("dashboards")["dashboards/Model_and_data_health"]["uuid"]
    (tmp_path / "assets" / "dashboards" / "Model_and_data_health.yaml").unlink()
    own = superset.logged_in().post(
        superset.url + "/api/v1/dashboard/", json={"dashboard_title": "My own"}, timeout=30
    )
    assert own.ok, own.text
    old, new = superset.password, random_password()
    done = superset.set_up(str(tmp_path / "assets"), DATAFLIX_SUPERSET_ADMIN_PASSWORD=new)
    assert done.returncode == 0, done.stderr
    titles = superset.rows("select dashboard_title, uuid::text from dashboards")
    assert sorted(title for title, _ in titles) == ["Dataflix Analytics", "My own"]
    assert dropped not in {uuid for _, uuid in titles}
    superset.logged_in(new)
    superset.environ["DATAFLIX_SUPERSET_ADMIN_PASSWORD"] = new
    body = {"username": "admin", "password": old, "provider": "db"}
    refused = requests.post(superset.url + "/api/v1/security/login", json=body, timeout=30)
    assert refused.status_code == 401
