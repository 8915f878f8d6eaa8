"""Limits wrong passwords, in Superset's log-in form and in its API together.

Superset 6.1 puts its own limit (AUTH_RATE_LIMITED) on a page that takes no password, and none on the API.
"""

# Superset has its own environment, which the type checker does not see.
# mypy: disable-error-code="import-not-found, import-untyped, misc, no-any-return"

from ipaddress import ip_address, ip_network

from flask import Flask, Response, request
from flask_limiter.util import get_remote_address
from flask_login import current_user

# One client has at least this many addresses of version 6.
_NETWORK_OF_ONE_CLIENT = 64


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
    limit = app.appbuilder.sm.limiter.shared_limit(  # type: ignore[attr-defined]
        app.config["AUTH_RATE_LIMIT"],
        scope="log-in",
        key_func=_client,
        methods=["POST"],
        deduct_when=_is_refused,
    )
    for endpoint in endpoints:
        app.view_functions[endpoint] = limit(app.view_functions[endpoint])


def _client() -> str:
    address = ip_address(get_remote_address())
    if address.is_loopback:
        # Any local account can use each of 16 million.
        return "this machine"
    if address.version == 4:  # noqa: PLR2004 - the version of the protocol
        return str(address)
    return str(ip_network((address, _NETWORK_OF_ONE_CLIENT), strict=False))


def _is_refused(response: Response) -> bool:
    if request.blueprint == "SecurityApi":
        return response.status_code != 200  # noqa: PLR2004 - HTTP's "OK"
    return not current_user.is_authenticated
