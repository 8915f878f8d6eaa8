"""Checks of the API: every GET endpoint of its OpenAPI document, and each answer against its schema."""

import re
import uuid
from typing import Any

import requests
from jsonschema import Draft202012Validator, ValidationError

from dataflix_ops.doctor.check import Check, CheckError
from dataflix_ops.doctor.http import answer, ask, session
from dataflix_stack.config.settings import Settings

_JSON = "application/json"
# Where to learn an id that is there.
_LISTS = {"user_id": "/users", "movie_id": "/movies"}


def checks() -> list[Check]:
    """Return the checks."""
    return [
        Check("backend", "refuses a request without key", _refuses),
        Check("backend", "every GET endpoint answers as documented", _endpoints),
        Check("backend", "recommends to somebody of whom nothing is stored", _serves_session),
        Check("model-sync", "the API answers with the trained model", _serves_model),
    ]


def _signed(settings: Settings) -> requests.Session:
    return session({"X-API-Key": settings["API_KEY"]})


def _refuses(settings: Settings) -> str:
    url = settings.url("BACKEND") + "/users"
    status = answer(session(), "GET", url).status_code
    if status != requests.codes.unauthorized:
        raise CheckError(f"GET {url} without a key answers {status} and not 401")
    return "401"


def _endpoints(settings: Settings) -> str:
    http, url = _signed(settings), settings.url("BACKEND")
    document = ask(http, "GET", url + "/openapi.json").json()
    ids = {name: _first(http, url + path, name) for name, path in _LISTS.items()}
    found = [path for path, methods in document["paths"].items() if "get" in methods]
    problems = [problem for path in found if (problem := _problem(http, url, document, path, ids))]
    if problems:
        raise CheckError(f"{len(problems)} of {len(found)} endpoints: {'; '.join(problems)}")
    return f"{len(found)} endpoints"


def _first(http: requests.Session, url: str, name: str) -> str:
    rows = ask(http, "GET", url, params={"limit": 1}).json()["data"]
    if not rows:
        raise CheckError(f"GET {url} lists nothing: no data were loaded")
    return str(rows[0][name])


def _problem(
    http: requests.Session, url: str, document: dict[str, Any], path: str, ids: dict[str, str]
) -> str:
    """Return what is wrong with an endpoint; empty when it answers as its document says."""
    # Something of whose kind there need be none, an erasure say, is asked for by an id that nothing has.
    wanted = set(re.findall(r"\{(\w+)\}", path))
    filled = re.sub(r"\{(\w+)\}", lambda name: ids.get(name[1]) or str(uuid.uuid4()), path)
    try:
        if wanted <= ids.keys():
            answered = ask(http, "GET", url + filled)
        else:
            answered = answer(http, "GET", url + filled)
    except CheckError as error:
        return str(error)
    if not wanted <= ids.keys() and answered.status_code != requests.codes.not_found:
        return f"GET {filled} answers {answered.status_code} and not 404"
    content = document["paths"][path]["get"]["responses"][str(answered.status_code)].get("content", {})
    media_type = answered.headers["Content-Type"].partition(";")[0]
    if media_type not in {kind.partition(";")[0] for kind in content}:
        return f"GET {filled} answers with {media_type}, which is not documented"
    if media_type == _JSON:
        # The components beside it, where its references lead.
        schema = content[media_type]["schema"] | {"components": document["components"]}
        try:
            Draft202012Validator(schema).validate(answered.json())
        except ValidationError as error:
            return f"GET {filled}: {error.json_path}: {error.message[:200]}"
    return ""


def _serves_session(settings: Settings) -> str:
    http, url = _signed(settings), settings.url("BACKEND")
    film = int(_first(http, url + _LISTS["movie_id"], "movie_id"))
    body = {"ratings": [{"movie_id": film, "rating": 5}], "n": 5}
    answered = ask(http, "POST", f"{url}/recommendations", json=body).json()
    shown, meta = [row["movie_id"] for row in answered["data"]], answered["meta"]
    if film in shown or len(shown) != min(5, meta["eligible"]):
        raise CheckError(f"POST /recommendations answers {len(shown)} of {meta['eligible']} films: {shown}")
    return f"{len(shown)} films"


def _serves_model(settings: Settings) -> str:
    http, url = _signed(settings), settings.url("BACKEND")
    user = _first(http, url + _LISTS["user_id"], "user_id")
    meta = ask(http, "GET", f"{url}/recommendations/{user}").json()["meta"]
    if meta["source"] != "model":
        raise CheckError(f"recommendations come from {meta['source']}; .venv/bin/trainer models tells why")
    return f"model version {meta['model_version']}"
