"""Limits wrong passwords, in Superset's log-in form and in its API together.

Superset 6.1 puts its own limit (AUTH_RATE_LIMITED) on a page that takes no password, and none on the API.
"""

# Superset has its own environment, which the type checker does not see.
# mypy: disable-error-code="import-not-found, import-untyped, misc, no-any-return"

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Response, make_response, request
from flask_login import current_user

from dataflix_common.login_attempts import LoginAttempts, TooManyAttemptsError, client_of

View = Callable[..., Any]


def install(app: Flask) -> None:
    """Limit all routes that take a password.

    Raises:
        RuntimeError: there are not exactly the two that this Superset has.
    """
    endpoints = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint.endswith(".login")
    }
    if endpoints != {"AuthDBView.login", "SecurityApi.login"}:
        raise RuntimeError(
            f"Superset's log-in routes are {sorted(endpoints)}: limit those that take a password."
        )
    attempts = LoginAttempts()
    for endpoint in endpoints:
        app.view_functions[endpoint] = _limited(app.view_functions[endpoint], attempts)


def _limited(view: View, attempts: LoginAttempts) -> View:
    @wraps(view)
    def limited(*arguments: Any, **more: Any) -> Response:
        if request.method != "POST":
            return make_response(view(*arguments, **more))
        try:
            attempt = attempts.begin(client_of(request.remote_addr))
        except TooManyAttemptsError as error:
            body = json.dumps({"message": str(error)})
            return Response(body, 429, {"Retry-After": str(error.wait_s)}, mimetype="application/json")
        response = make_response(view(*arguments, **more))
        if not _is_refused(response):
            attempts.succeed(attempt)
        return response

    return limited


def _is_refused(response: Response) -> bool:
    if request.blueprint == "SecurityApi":
        return response.status_code != 200  # noqa: PLR2004 - HTTP's "OK"
    return not current_user.is_authenticated
