"""Requests that carry a text into Superset in every way that a user has, valid and invalid."""

import json
import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

_TIMEOUT_S = 60


@dataclass(frozen=True)
class Attempt:
    """One request and the status of its response."""

    what: str
    status: int


class SupersetClient:
    """Superset's administrator, who has more rights than any other user."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.session = requests.Session()
        # Log in as a browser does: some pages accept nothing else.
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.request("GET", "/login/").text)
        assert token
        form = {"username": "admin", "password": password, "csrf_token": token[1]}
        self.request("POST", "/login/", data=form)
        self.session.headers["X-CSRFToken"] = token[1]

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request with the session of the administrator."""
        return self.session.request(method, self.url + path, timeout=_TIMEOUT_S, **options)

    def dataset(self, name: str) -> int:
        """Return the id of a dataset."""
        question = f"(filters:!((col:table_name,opr:eq,value:{name})))"
        return int(self._json("GET", f"/api/v1/dataset/?q={question}")["result"][0]["id"])

    def dashboard(self) -> int:
        """Return the id of the first dashboard."""
        return int(self._json("GET", "/api/v1/dashboard/")["result"][0]["id"])

    def database(self) -> int:
        """Return the id of the database connection."""
        return int(self._json("GET", "/api/v1/database/")["result"][0]["id"])

    def chart_data(self, **query: Any) -> requests.Response:
        """Request the data of a chart that is not saved."""
        source = {"id": self.dataset("rating_details"), "type": "table"}
        body = {"datasource": source, "queries": [{"metrics": ["ratings_count"], **query}]}
        return self.request("POST", "/api/v1/chart/data", json=body)

    def _json(self, method: str, path: str, **options: Any) -> Any:
        answer = self.request(method, path, **options)
        assert answer.ok, answer.text
        return answer.json()


def send_text_everywhere(client: SupersetClient, text: str) -> list[Attempt]:
    """Send a text to Superset in every way."""
    equal = [{"col": "genre", "op": "==", "val": text}]
    wrong = {"expressionType": "SQL", "label": text, "sqlExpression": f"sum({text})"}
    form = {"datasource": f"{client.dataset('rating_details')}__table", "adhoc_filters": equal}
    saved = {"datasource_id": client.dataset("rating_details"), "datasource_type": "table"}
    events = [{"event_name": "mount_dashboard", "source_id": 1, "filter": text, "dashboard_id": 1}]
    sql = {"database_id": client.database(), "sql": f"select '{text}'", "schema": "analytics"}
    origin = f"/api/v1/chart/?q=(filters:!((col:slice_name,opr:ct,value:{text})))"
    answers = {
        "a filter": client.chart_data(filters=equal),
        "the same from the cache": client.chart_data(filters=equal),
        "a filter that matches a part": client.chart_data(
            filters=[{"col": "genre", "op": "ILIKE", "val": f"%{text}%"}]
        ),
        "a condition": client.chart_data(extras={"where": f"(title = '{text}')"}),
        "an invalid condition": client.chart_data(extras={"where": f"({text} = 1)"}),
        "a value of the wrong type": client.chart_data(extras={"where": f"(toInt32('{text}') = 1)"}),
        "an unknown column": client.chart_data(filters=[{"col": text, "op": "==", "val": 1}]),
        "an invalid expression": client.chart_data(metrics=[wrong]),
        "an unknown metric": client.chart_data(metrics=[text]),
        "an invalid time range": client.chart_data(time_range=text),
        "invalid JSON": client.request("POST", "/api/v1/chart/data", data=f'{{"{text}'),
        "a search for a chart": client.request("GET", origin),
        "an invalid list query": client.request("GET", f"/api/v1/chart/?q=({text}"),
        "the filter state of a dashboard": client.request(
            "POST",
            f"/api/v1/dashboard/{client.dashboard()}/filter_state",
            json={"value": json.dumps({"filter": text})},
        ),
        "an unsaved chart": client.request(
            "POST", "/api/v1/explore/form_data", json=saved | {"form_data": json.dumps(form)}
        ),
        "the values of a filter": client.request(
            "GET", f"/api/v1/datasource/table/{saved['datasource_id']}/column/{text}/values/"
        ),
        "an event log of the browser": client.request(
            "POST", "/superset/log/?explode=events&dashboard_id=1", data={"events": json.dumps(events)}
        ),
        "an unknown page": client.request("GET", f"/superset/dashboard/{quote(text)}/?filter={text}"),
        "an unknown address": client.request("GET", f"/{text}", headers={"Referer": f"http://{text}/"}),
        "SQL Lab": client.request("POST", "/api/v1/sqllab/execute/", json=sql),
        "SQL Lab's tabs": client.request("POST", "/tabstateview/", data={"queryEditor": json.dumps(sql)}),
        "a stored query": client.request(
            "POST",
            "/api/v1/saved_query/",
            json={"db_id": sql["database_id"], "sql": sql["sql"], "label": "x"},
        ),
        "validation of a query": client.request(
            "POST", f"/api/v1/database/{sql['database_id']}/validate_sql/", json={"sql": sql["sql"]}
        ),
        "a failed login": requests.post(
            client.url + "/api/v1/security/login",
            json={"username": text, "password": text, "provider": "db"},
            timeout=_TIMEOUT_S,
        ),
    }
    host, _, port = client.url.removeprefix("http://").partition(":")
    for line in (f"GET /{text} HTTP/9.9", f"{text} / HTTP/1.1"):
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as raw:
            raw.sendall(line.encode() + b"\r\nHost: x\r\n\r\n")
            raw.recv(4096)
    return [Attempt(what, answer.status_code) for what, answer in answers.items()]
