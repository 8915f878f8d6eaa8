import re
import subprocess

import orjson
from flask import Flask
from jsonschema import Draft202012Validator

from dataflix_backend.web.operation import operation_of

from .support.api import ApiClient
from .support.server import COMMAND


def test_every_route_is_described_but_the_page_and_its_files(app: Flask, api: ApiClient) -> None:
    described = {
        (path, method.upper())
        for path, methods in api.contract.document["paths"].items()
        for method in methods
    }
    routes = set()
    undescribed = set()
    for rule in app.url_map.iter_rules():
        if operation_of(app.view_functions[rule.endpoint]) is None:
            undescribed.add(rule.rule)
            continue
        path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
        routes |= {(path, method) for method in (rule.methods or set()) - {"HEAD"}}
    assert routes == described
    assert undescribed == {"/docs", "/docs/assets/<path:name>", "/docs/own/<path:filename>"}


def test_document_is_whole(api: ApiClient) -> None:
    document = api.get("/openapi.json", key=None).json
    assert document["openapi"].startswith("3.1")
    text = orjson.dumps(document).decode()
    for name in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        Draft202012Validator.check_schema(document["components"]["schemas"][name])
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


def test_validation_limits_are_in_the_document(api: ApiClient) -> None:
    parameters = api.contract.document["paths"]["/movies"]["get"]["parameters"]
    limits = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert limits["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert limits["year_to"] == {"type": "integer", "minimum": 1870, "maximum": 2100}
    rating = api.contract.document["components"]["schemas"]["NewRating"]["properties"]["rating"]
    assert (rating["minimum"], rating["maximum"], rating["multipleOf"]) == (0.5, 5, 0.5)


def test_command_prints_the_same_document_without_settings(api: ApiClient) -> None:
    printed = subprocess.run(
        [COMMAND, "openapi"], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert orjson.loads(printed.stdout) == api.get("/openapi.json").json


def test_page_loads_nothing_from_elsewhere(api: ApiClient, app: Flask) -> None:
    client = app.test_client()
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        asset = client.get(f"/{link}")
        assert asset.status_code == 200, link
        assert asset.data
    assert client.get("/docs/assets/../docs.html").status_code == 404
