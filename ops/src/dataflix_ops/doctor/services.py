"""Checks of Airflow, the trainer and Superset, over the interfaces that people and programs use."""

from typing import Any
from urllib.parse import quote

import requests

from dataflix_ops.doctor.check import Check, CheckError
from dataflix_ops.doctor.http import new_session, request, request_ok
from dataflix_stack.airflow.api import import_error
from dataflix_stack.airflow.environment import USER
from dataflix_stack.airflow.pipeline import DAG_ID
from dataflix_stack.config.settings import Settings

_SUPERSET_USER = "admin"
# More than there are charts; Superset allows no more in a page.
_PAGE = 100


def checks() -> list[Check]:
    """Return the checks."""
    return [
        Check("airflow-api-server", f"{DAG_ID} is there and can be read", _dag),
        Check("airflow-api-server", f"the last run of {DAG_ID} did not fail", _last_run),
        Check("trainer", "is healthy", _trainer_health),
        Check("trainer", "lists jobs to those with the token alone", _trainer_jobs),
        Check("superset", "only the administrator signs in", _superset_login),
        # Each chart is a query of its own on two shared cores.
        Check("superset", "every chart's query returns rows", _charts, timeout_s=180),
    ]


def _airflow(settings: Settings) -> requests.Session:
    http = new_session()
    body = {"username": USER, "password": settings["AIRFLOW_ADMIN_PASSWORD"]}
    token = request_ok(http, "POST", settings.url("AIRFLOW") + "/auth/token", json=body).json()[
        "access_token"
    ]
    http.headers["Authorization"] = f"Bearer {token}"
    return http


def _dag(settings: Settings) -> str:
    http, api = _airflow(settings), settings.url("AIRFLOW") + "/api/v2"
    errors = request_ok(http, "GET", f"{api}/importErrors").json()["import_errors"]
    if errors:
        raise CheckError(import_error(errors[0]))
    dag = request_ok(http, "GET", f"{api}/dags/{DAG_ID}").json()
    return "paused" if dag["is_paused"] else "active"


def _last_run(settings: Settings) -> str:
    url = f"{settings.url('AIRFLOW')}/api/v2/dags/{DAG_ID}/dagRuns"
    runs = request_ok(_airflow(settings), "GET", url, params={"order_by": "-run_after", "limit": 1}).json()[
        "dag_runs"
    ]
    if not runs:
        raise CheckError(f"{DAG_ID} has never run: ./run.sh pipeline")
    state = f"{runs[0]['dag_run_id']} is {runs[0]['state']}"
    if runs[0]["state"] == "failed":
        raise CheckError(f"{state}: {settings.url('AIRFLOW')}/dags/{DAG_ID}")
    return state


def _trainer_health(settings: Settings) -> str:
    request_ok(new_session(), "GET", settings.url("TRAINER") + "/healthz")
    return "healthy"


def _trainer_jobs(settings: Settings) -> str:
    url = settings.url("TRAINER") + "/jobs"
    anonymous = request(new_session(), "GET", url)
    if anonymous.status_code != requests.codes.unauthorized:
        raise CheckError(f"GET {url} without a token answers {anonymous.status_code} and not 401")
    authorised = new_session({"Authorization": f"Bearer {settings['TRAINER_TOKEN']}"})
    return f"{request_ok(authorised, 'GET', url).json()['meta']['count']} jobs"


def _superset(settings: Settings) -> requests.Session:
    http = new_session()
    body = {"username": _SUPERSET_USER, "password": settings["SUPERSET_ADMIN_PASSWORD"], "provider": "db"}
    signed_in = request_ok(http, "POST", settings.url("SUPERSET") + "/api/v1/security/login", json=body)
    http.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    return http


def _superset_login(settings: Settings) -> str:
    url = settings.url("SUPERSET") + "/api/v1/chart/"
    response = request(new_session(), "GET", url)
    if response.ok and response.json().get("count"):
        raise CheckError(f"GET {url} shows charts to a user who is not signed in")
    request_ok(_superset(settings), "GET", settings.url("SUPERSET") + "/api/v1/me/")
    return f"{_SUPERSET_USER} is signed in"


def _charts(settings: Settings) -> str:
    http, api = _superset(settings), settings.url("SUPERSET") + "/api/v1"
    charts = request_ok(http, "GET", f"{api}/chart/?q={quote(f'(page_size:{_PAGE})')}").json()["result"]
    if not charts:
        raise CheckError("there are no charts: its set-up has not ended, or failed")
    wrong = [problem for chart in charts if (problem := _problem(http, api, chart))]
    if wrong:
        raise CheckError(f"{len(wrong)} of {len(charts)} charts: {'; '.join(wrong)}")
    return f"{len(charts)} charts"


def _problem(http: requests.Session, api: str, chart: dict[str, Any]) -> str:
    """Return what is wrong with a chart; empty when its query returns rows."""
    name = chart["slice_name"]
    try:
        results = request_ok(http, "GET", f"{api}/chart/{chart['id']}/data/").json()["result"]
    except CheckError as error:
        return f"{name!r} failed ({error})"
    if not all(result["data"] for result in results):
        return f"{name!r} has no rows"
    return ""
