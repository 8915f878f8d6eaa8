"""Checks of the API: every GET endpoint of its OpenAPI document, and each response against its schema."""

import re
import uuid
from typing import Any
from urllib.parse import quote

import requests
from jsonschema import Draft202012Validator, ValidationError

from dataflix_ops.doctor.check import Check, CheckError
from dataflix_ops.doctor.http import new_session, request, request_ok
from dataflix_stack.config.settings import Settings

_JSON = "application/json"
# Endpoints that list existing ids.
_LISTS = {"user_id": "/users", "movie_id": "/movies"}


def checks() -> list[Check]:
    """Return the checks."""
    return [
        Check("backend", "refuses a request without key", _refuses),
        Check("backend", "every GET endpoint answers as documented", _endpoints),
        Check("backend", "recommends to a user who is not stored", _serves_session),
        Check("model-sync", "the API answers with the trained model", _serves_model),
    ]


def _signed(settings: Settings) -> requests.Session:
    return new_session({"X-API-Key": settings["API_KEY"]})


def _refuses(settings: Settings) -> str:
    url = settings.url("BACKEND") + "/users"
    status = request(new_session(), "GET", url).status_code
    if status != requests.codes.unauthorized:
        raise CheckError(f"GET {url} without a key answers {status} and not 401")
    return "401"


def _endpoints(settings: Settings) -> str:
    http, url = _signed(settings), settings.url("BACKEND")
    document = request_ok(http, "GET", url + "/openapi.json").json()
    ids = {name: _first(http, url + path, name) for name, path in _LISTS.items()}
    found = [path for path, methods in document["paths"].items() if "get" in methods]
    problems = [problem for path in found if (problem := _problem(http, url, document, path, ids))]
    if problems:
        raise CheckError(f"{len(problems)} of {len(found)} endpoints: {'; '.join(problems)}")
    return f"{len(found)} endpoints"


def _first(http: requests.Session, url: str, name: str) -> int | str:
    rows = request_ok(http, "GET", url, params={"limit": 1}).json()["data"]
    if not rows:
        raise CheckError(f"GET {url} lists nothing: no data were loaded")
    found: int | str = rows[0][name]
    return found


def _problem(
    http: requests.Session, url: str, document: dict[str, Any], path: str, ids: dict[str, int | str]
) -> str:
    """Return what is wrong with an endpoint; empty if its response matches the document."""
    # Other kinds of objects may not exist at all (erasures for instance): a random id must give 404.
    parameters = set(re.findall(r"\{(\w+)\}", path))
    filled = re.sub(
        r"\{(\w+)\}", lambda name: quote(str(ids.get(name[1], "")), safe="") or str(uuid.uuid4()), path
    )
    try:
        if parameters <= ids.keys():
            response = request_ok(http, "GET", url + filled)
        else:
            response = request(http, "GET", url + filled)
    except CheckError as error:
        return str(error)
    if not parameters <= ids.keys() and response.status_code != requests.codes.not_found:
        return f"GET {filled} answers {response.status_code} and not 404"
    content = document["paths"][path]["get"]["responses"][str(response.status_code)].get("content", {})
    media_type = response.headers["Content-Type"].partition(";")[0]
    if media_type not in {kind.partition(";")[0] for kind in content}:
        return f"GET {filled} answers with {media_type}, which is not documented"
    if media_type == _JSON:
        # The components are where its references point.
        schema = content[media_type]["schema"] | {"components": document["components"]}
        try:
            Draft202012Validator(schema).validate(response.json())
        except ValidationError as error:
            return f"GET {filled}: {error.json_path}: {error.message[:200]}"
    return ""


def _serves_session(settings: Settings) -> str:
    http, url = _signed(settings), settings.url("BACKEND")
    movie = _first(http, url + _LISTS["movie_id"], "movie_id")
    body = {"ratings": [{"movie_id": movie, "rating": 5}], "limit": 5}
    response = request_ok(http, "POST", f"{url}/recommendations", json=body).json()
    shown, meta = [row["movie_id"] for row in response["data"]], response["meta"]
    if movie in shown or len(shown) != min(5, meta["eligible"]):
        raise CheckError(f"POST /recommendations answers {len(shown)} of {meta['eligible']} movies: {shown}")
    return f"{len(shown)} movies"


def served_meta(http: requests.Session, url: str) -> dict[str, Any]:
    """Return what the API says about the list of some user: where it comes from and which model made it."""
    user = _first(http, url + _LISTS["user_id"], "user_id")
    found: dict[str, Any] = request_ok(
        http, "GET", f"{url}/recommendations/{quote(str(user), safe='')}"
    ).json()["meta"]
    return found


def _serves_model(settings: Settings) -> str:
    meta = served_meta(_signed(settings), settings.url("BACKEND"))
    if meta["source"] != "model":
        raise CheckError(f"recommendations come from {meta['source']}; .venv/bin/trainer models shows why")
    return f"model version {meta['model_version']}"
