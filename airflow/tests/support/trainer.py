"""A job API with the trainer's contract; tests script what its jobs do."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dataflix_elt.settings import TrainerSettings

TOKEN = "a token of the trainer"


@dataclass
class FakeTrainer:
    """Jobs by id and what they do: a list of (state, log so far), one per request of the state."""

    port: int = 0
    script: list[tuple[str, str]] = field(default_factory=lambda: [("succeeded", "")])
    result: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    posted: list[dict[str, Any]] = field(default_factory=list)
    fail_next: int = 0

    @property
    def settings(self) -> TrainerSettings:
        return TrainerSettings(host="127.0.0.1", port=self.port, token=TOKEN)

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        self.posted.append(body)
        for job in self.jobs.values():
            if job["key"] == body["key"]:
                return job
        job = {"job_id": str(len(self.jobs) + 1), "kind": body["kind"], "key": body["key"], "looks": 0}
        self.jobs[job["job_id"]] = {**job, "script": list(self.script)}
        return self.jobs[job["job_id"]]

    def look(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        state, log = job["script"][min(job["looks"], len(job["script"]) - 1)]
        job["looks"] += 1
        job["log"] = log
        result = self.result if state == "succeeded" else None
        error = "no room on the disk" if state == "failed" else None
        return {"job_id": job_id, "kind": job["kind"], "state": state, "result": result, "error": error}

    def log(self, job_id: str, offset: int) -> dict[str, Any]:
        text = str(self.jobs[job_id].get("log", ""))
        return {"text": text[offset:], "next_offset": len(text), "complete": False}


@contextmanager
def fake_trainer(port: int = 0) -> Iterator[FakeTrainer]:
    """Serve the API on a free port, or on `port`."""
    trainer = FakeTrainer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any] | None) -> None:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._send(
                    HTTPStatus.UNAUTHORIZED, {"title": "Unauthorized", "detail": "The token is wrong."}
                )
            elif trainer.fail_next:
                trainer.fail_next -= 1
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, {"title": "Service Unavailable"})
            elif body is not None:
                job = trainer.post(body)
                self._send(
                    HTTPStatus.ACCEPTED, {"job_id": job["job_id"], "kind": job["kind"], "state": "queued"}
                )
            else:
                address = urlsplit(self.path)
                _, _, job_id, *rest = address.path.split("/")
                offset = int(parse_qs(address.query).get("offset", ["0"])[0])
                self._send(HTTPStatus.OK, trainer.log(job_id, offset) if rest else trainer.look(job_id))

        def _send(self, status: HTTPStatus, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    trainer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield trainer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
