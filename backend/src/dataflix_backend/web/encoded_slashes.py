"""Encoded slashes in a path: WSGI decodes them, and an id with a slash would be two segments.

werkzeug matches what is decoded, and its converters can't tell both kinds of slashes apart. So a segment's
own slash is written as JSON Pointer (RFC 6901) writes it, ``~1``, until the view reads the segment.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from flask import request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_RAW_PATH = "dataflix.raw_path"


class EncodedSlashes:
    """Middleware that keeps encoded slashes apart while ids may have any characters.

    Args:
        application: what it stands before.
        is_needed: whether ids may have slashes. With our own numbers, an encoded slash separates segments.
    """

    def __init__(self, application: "WSGIApplication", is_needed: Callable[[], bool]) -> None:
        self._application = application
        self._is_needed = is_needed

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        raw: Any = environ.get("RAW_URI", "").partition("?")[0]
        if raw.startswith("/") and "%2f" in raw.lower() and self._is_needed():
            environ["PATH_INFO"] = "/".join(map(_escaped, raw.split("/")))
            environ[_RAW_PATH] = raw
        return self._application(environ, start_response)


def segment_text(text: str) -> str:
    """Return what a segment of the current request's path says."""
    return text.replace("~1", "/").replace("~0", "~") if _RAW_PATH in request.environ else text


def path_as_sent() -> str:
    """Return the current request's path, percent-encoded."""
    raw: str = request.environ.get(_RAW_PATH, "")
    return raw or quote(request.path)


def _escaped(segment: str) -> str:
    # As PEP 3333 wants: bytes, one character each, as RAW_URI has them.
    text = unquote_to_bytes(segment.encode("latin-1", "replace")).decode("latin-1")
    return text.replace("~", "~0").replace("/", "~1")
