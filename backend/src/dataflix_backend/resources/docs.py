"""/openapi.json, and /docs: Swagger UI from the installed package, with no file of another site."""

from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, current_app, send_from_directory

from dataflix_backend.web import openapi
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, operation

# The page's script sets styles on elements; everything else comes from files of this server.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASSET_AGE_S = 86_400
_OWN_ASSETS = str(files("dataflix_backend") / "assets")
_SWAGGER_UI = str(files("flask_swagger_ui") / "dist")

blueprint = Blueprint("docs", __name__, static_folder=_OWN_ASSETS, static_url_path="/docs/own")


@blueprint.get("/openapi.json")
@operation(
    Operation("The OpenAPI document", "docs", {200: dict[str, Any]}, query=None, public=True, database=False)
)
def document() -> Response:
    """Answer the OpenAPI document."""
    return Response(openapi.rendered(current_app, services().source.current), content_type="application/json")


@blueprint.get("/docs")
def page() -> Response:
    """Answer the page that shows the document and sends test requests."""
    response = send_from_directory(_OWN_ASSETS, "docs.html")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return response


@blueprint.get("/docs/assets/<path:name>")
def asset(name: str) -> Response:
    """Answer a file of Swagger UI."""
    return send_from_directory(_SWAGGER_UI, name, max_age=_ASSET_AGE_S)
