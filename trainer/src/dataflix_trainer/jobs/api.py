"""The HTTP side of jobs."""

import hmac
import json
from typing import Any

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from dataflix_trainer.jobs.job import Job
from dataflix_trainer.jobs.requests import BadRequestError, parse_job
from dataflix_trainer.jobs.runner import JobRunner
from dataflix_trainer.jobs.store import JobStore, KeyConflictError

MAX_BODY = 64 * 1024
STORE = "dataflix_jobs"
RUNNER = "dataflix_runner"


def create_app(store: JobStore, runner: JobRunner, token: str) -> Flask:
    """Return the application; every route but /healthz wants ``Authorization: Bearer <token>``."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.extensions[STORE] = store
    app.extensions[RUNNER] = runner
    expected = f"Bearer {token}".encode()

    @app.before_request
    def check_token() -> Response | None:
        given = request.headers.get("Authorization", "").encode()
        if request.endpoint == "healthz" or hmac.compare_digest(given, expected):
            return None
        answer = _problem(401, "Unauthorized", "send the header Authorization: Bearer DATAFLIX_TRAINER_TOKEN")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        return _problem(error.code or 500, error.name, error.description or error.name)

    @app.errorhandler(BadRequestError)
    def bad_request(error: BadRequestError) -> Response:
        return _problem(400, "Bad Request", str(error))

    @app.errorhandler(KeyConflictError)
    def conflict(error: KeyConflictError) -> Response:
        return _problem(409, "Conflict", str(error))

    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/jobs", view_func=list_jobs)
    app.add_url_rule("/jobs", view_func=submit_job, methods=["POST"])
    app.add_url_rule("/jobs/<job_id>", view_func=show_job)
    app.add_url_rule("/jobs/<job_id>/log", view_func=show_log)
    return app


def healthz() -> Response:
    """Say that we are here and take up jobs."""
    if not current_app.extensions[RUNNER].is_running:
        return _problem(
            503, "Service Unavailable", "jobs are no longer taken up; see the server's log, restart it"
        )
    return jsonify(status="ok")


def list_jobs() -> Response:
    """Show all jobs, the newest first."""
    jobs = [job.to_answer() for job in reversed(_store().all())]
    return jsonify(data=jobs, meta={"count": len(jobs)})


def submit_job() -> tuple[Response, int]:
    """Queue a job, or show the one that was queued under the same key before."""
    kind, key, params = parse_job(request.get_json())
    job, is_new = _store().submit(kind, key, params)
    if is_new:
        current_app.extensions[RUNNER].wake()
    return jsonify(job_id=job.job_id, kind=job.kind, state=job.state), 202 if is_new else 200


def show_job(job_id: str) -> Response:
    """Show one job."""
    return jsonify(_job(job_id).to_answer())


def show_log(job_id: str) -> Response:
    """Show a job's log from a byte offset on."""
    offset = request.args.get("offset", "0")
    if not (offset.isascii() and offset.isdecimal()):
        raise BadRequestError(f"offset must be a whole number from 0, not {offset!r}")
    text, next_offset, complete = _store().read_log(_job(job_id), int(offset))
    return jsonify(text=text, next_offset=next_offset, complete=complete)


def _store() -> JobStore:
    store: JobStore = current_app.extensions[STORE]
    return store


def _job(job_id: str) -> Job:
    job = _store().get(job_id)
    if job is None:
        raise _NoSuchJobError(f"there is no job {job_id!r}")
    return job


class _NoSuchJobError(HTTPException):
    code = 404


def _problem(status: int, title: str, detail: str) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(body), status, mimetype="application/problem+json")
