"""Questions and mistakes that carry a name into Superset, by every way that a person has."""

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
    """One question and the status it was answered with."""

    what: str
    status: int


class SupersetClient:
    """The administrator, who may do more than anybody else."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.session = requests.Session()
        # As a browser does it: some pages know no other way.
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.ask("GET", "/login/").text)
        assert token
        form = {"username": "admin", "password": password, "csrf_token": token[1]}
        self.ask("POST", "/login/", data=form)
        self.session.headers["X-CSRFToken"] = token[1]

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request."""
        return self.session.request(method, self.url + path, timeout=_TIMEOUT_S, **options)

    def dataset(self, name: str) -> int:
        """Return the id of a data set."""
        question = f"(filters:!((col:table_name,opr:eq,value:{name})))"
        return int(self._json("GET", f"/api/v1/dataset/?q={question}")["result"][0]["id"])

    def dashboard(self) -> int:
        """Return the id of a dashboard."""
        return int(self._json("GET", "/api/v1/dashboard/")["result"][0]["id"])

    def database(self) -> int:
        """Return the id of the warehouse."""
        return int(self._json("GET", "/api/v1/database/")["result"][0]["id"])

    def chart_data(self, **query: Any) -> requests.Response:
        """Ask for the rows of a chart that nobody saved."""
        source = {"id": self.dataset("rating_details"), "type": "table"}
        body = {"datasource": source, "queries": [{"metrics": ["ratings_count"], **query}]}
        return self.ask("POST", "/api/v1/chart/data", json=body)

    def _json(self, method: str, path: str, **options: Any) -> Any:
        answer = self.ask(method, path, **options)
        assert answer.ok, answer.text
        return answer.json()


def send_text_everywhere(person: SupersetClient, name: str) -> list[Attempt]:
    """Carry the name into Superset by every way."""
    equal = [{"col": "genre", "op": "==", "val": name}]
    wrong = {"expressionType": "SQL", "label": name, "sqlExpression": f"sum({name})"}
    form = {"datasource": f"{person.dataset('rating_details')}__table", "adhoc_filters": equal}
    saved = {"datasource_id": person.dataset("rating_details"), "datasource_type": "table"}
    told = [{"event_name": "mount_dashboard", "source_id": 1, "filter": name, "dashboard_id": 1}]
    sql = {"database_id": person.database(), "sql": f"select '{name}'", "schema": "analytics"}
    origin = f"/api/v1/chart/?q=(filters:!((col:slice_name,opr:ct,value:{name})))"
    answers = {
        "a filter": person.chart_data(filters=equal),
        "the same from the cache": person.chart_data(filters=equal),
        "a filter that matches in part": person.chart_data(
            filters=[{"col": "genre", "op": "ILIKE", "val": f"%{name}%"}]
        ),
        "a condition": person.chart_data(extras={"where": f"(title = '{name}')"}),
        "a condition that is none": person.chart_data(extras={"where": f"({name} = 1)"}),
        "a value of the wrong type": person.chart_data(extras={"where": f"(toInt32('{name}') = 1)"}),
        "an unknown column": person.chart_data(filters=[{"col": name, "op": "==", "val": 1}]),
        "an expression that is wrong": person.chart_data(metrics=[wrong]),
        "a metric that there is not": person.chart_data(metrics=[name]),
        "a time that is none": person.chart_data(time_range=name),
        "no JSON": person.ask("POST", "/api/v1/chart/data", data=f'{{"{name}'),
        "a chart that is looked for": person.ask("GET", origin),
        "a list that is asked for wrongly": person.ask("GET", f"/api/v1/chart/?q=({name}"),
        "a choice on a dashboard": person.ask(
            "POST",
            f"/api/v1/dashboard/{person.dashboard()}/filter_state",
            json={"value": json.dumps({"filter": name})},
        ),
        "a chart that is being made": person.ask(
            "POST", "/api/v1/explore/form_data", json=saved | {"form_data": json.dumps(form)}
        ),
        "the values of a filter": person.ask(
            "GET", f"/api/v1/datasource/table/{saved['datasource_id']}/column/{name}/values/"
        ),
        "what the browser tells": person.ask(
            "POST", "/superset/log/?explode=events&dashboard_id=1", data={"events": json.dumps(told)}
        ),
        "a page that there is not": person.ask("GET", f"/superset/dashboard/{quote(name)}/?filter={name}"),
        "an address that there is not": person.ask("GET", f"/{name}", headers={"Referer": f"http://{name}/"}),
        "SQL Lab": person.ask("POST", "/api/v1/sqllab/execute/", json=sql),
        "SQL Lab's tabs": person.ask("POST", "/tabstateview/", data={"queryEditor": json.dumps(sql)}),
        "a stored query": person.ask(
            "POST",
            "/api/v1/saved_query/",
            json={"db_id": sql["database_id"], "sql": sql["sql"], "label": "x"},
        ),
        "a query that is checked": person.ask(
            "POST", f"/api/v1/database/{sql['database_id']}/validate_sql/", json={"sql": sql["sql"]}
        ),
        "a wrong log-in": requests.post(
            person.url + "/api/v1/security/login",
            json={"username": name, "password": name, "provider": "db"},
            timeout=_TIMEOUT_S,
        ),
    }
    host, _, port = person.url.removeprefix("http://").partition(":")
    for line in (f"GET /{name} HTTP/9.9", f"{name} / HTTP/1.1"):
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as raw:
            raw.sendall(line.encode() + b"\r\nHost: x\r\n\r\n")
            raw.recv(4096)
    return [Attempt(what, answer.status_code) for what, answer in answers.items()]
