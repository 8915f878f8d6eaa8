"""Raw HTTP requests to a running server."""

import socket
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from dataflix_clickhouse.access.accounts import ACCOUNTS
from dataflix_testkit import ClickHouseServer

TIMEOUT_S = 60
PASSWORDS = {account.name: account.password_variable for account in ACCOUNTS}


@dataclass
class Api:
    """Requests of one account to a server."""

    server: ClickHouseServer
    user: str = "dataflix_admin"
    http: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return f"http://{self.server.host}:{self.server.port}/"

    @property
    def password(self) -> str:
        return self.server.environ[PASSWORDS[self.user]]

    def as_user(self, user: str) -> "Api":
        return Api(self.server, user)

    def post(
        self,
        body: str | bytes | Iterable[bytes] = b"",
        *,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        **params: Any,
    ) -> requests.Response:
        data = body.encode() if isinstance(body, str) else body
        return self.http.post(
            self.url,
            data=data,
            params=params,
            headers=dict(headers or {}),
            auth=(self.user, self.password),
            stream=stream,
            timeout=TIMEOUT_S,
        )

    def get(self, **params: Any) -> requests.Response:
        return self.http.get(self.url, params=params, auth=(self.user, self.password), timeout=TIMEOUT_S)

    def text(self, sql: str, **params: Any) -> str:
        """Run a statement that must succeed; return its result without the last line break."""
        answer = self.post(sql, **params)
        assert answer.status_code == 200, answer.text
        return answer.text.removesuffix("\n")

    def code(self, sql: str, **params: Any) -> int:
        """Run a statement that must fail; return its error code."""
        answer = self.post(sql, **params)
        assert answer.status_code >= 400, answer.text
        code = int(answer.headers["X-ClickHouse-Exception-Code"])
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
        return code

    def connect(self, body: bytes, *, headers: Mapping[str, str], **params: str) -> socket.socket:
        """Send the headers and `body` of a POST unchanged, and return the open connection."""
        credentials = b64encode(f"{self.user}:{self.password}".encode()).decode()
        lines = [
            f"POST /?{urlencode(params)} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Basic {credentials}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        connection = socket.create_connection((self.server.host, self.server.port), timeout=TIMEOUT_S)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return connection

    def running(self, marker: str) -> int:
        """Return the number of running statements whose text contains the marker."""
        half = len(marker) // 2
        needle = f"concat('{marker[:half]}', '{marker[half:]}')"
        return int(self.text(f"SELECT count() FROM system.processes WHERE position(query, {needle}) > 0"))


def rows_of_csv(first: int, count: int) -> bytes:
    """Return CSV lines of (number, text) that do not compress well."""
    return b"".join(b'%d,"row %d of many"\n' % (n, n * 7919) for n in range(first, first + count))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Yield the data in pieces, so that requests sends them as a chunked body."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
