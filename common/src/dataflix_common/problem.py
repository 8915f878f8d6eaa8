"""Error bodies of HTTP APIs: problem details (RFC 9457)."""

import http
from typing import Any

MEDIA_TYPE = "application/problem+json"


def problem_details(
    status: int, detail: str, *, kind: str = "about:blank", title: str = "", **members: Any
) -> dict[str, Any]:
    """Return the JSON body of an error answer.

    Args:
        status: the HTTP status.
        detail: what was wrong, with which input, and what to do.
        kind: a URI for this kind of error.
        title: a short name of the kind; by default the status's own phrase.
        members: further members of the body, such as ``instance`` or ``errors``.
    """
    title = title or http.HTTPStatus(status).phrase
    return {"type": kind, "title": title, "status": status, "detail": detail, **members}
