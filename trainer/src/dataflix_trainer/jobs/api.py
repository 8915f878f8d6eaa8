"""The routes of the job API."""

import hmac
import json

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from dataflix_common import problem
from dataflix_common.argument_types import number_in, shown
from dataflix_trainer.jobs.job import Job
from dataflix_trainer.jobs.requests import BadRequestError, parse_job
from dataflix_trainer.jobs.runner import JobRunner
from dataflix_trainer.jobs.store import JobStore, KeyConflictError

MAX_BODY_BYTES = 64 * 1024
# No file is larger.
_MAX_OFFSET = 2**63 - 1
# Keys of the application's extensions.
STORE = "dataflix_jobs"
RUNNER = "dataflix_runner"


def create_app(store: JobStore, runner: JobRunner, token: str) -> Flask:
    """Return the application; every route but /healthz needs ``Authorization: Bearer <token>``."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions[STORE] = store
    app.extensions[RUNNER] = runner
    expected = f"Bearer {token}".encode()

    @app.before_request
    def check_token() -> Response | None:
        given = request.headers.get("Authorization", "").encode()
        if request.endpoint == "healthz" or hmac.compare_digest(given, expected):
            return None
        response = _problem(401, "send the header Authorization: Bearer DATAFLIX_TRAINER_TOKEN")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _problem(error.code or 500, error.description or error.name, title=error.name)

    @app.errorhandler(BadRequestError)
    def bad_request(error: BadRequestError) -> Response:
        return _problem(400, str(error))

    @app.errorhandler(KeyConflictError)
    def conflict(error: KeyConflictError) -> Response:
        return _problem(409, str(error))

    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/jobs", view_func=list_jobs)
    app.add_url_rule("/jobs", view_func=submit_job, methods=["POST"])
    app.add_url_rule("/jobs/<job_id>", view_func=show_job)
    app.add_url_rule("/jobs/<job_id>/log", view_func=show_log)
    return app


def healthz() -> Response:
    """Report whether the server takes up jobs."""
    if not current_app.extensions[RUNNER].is_running:
        return _problem(503, "the server takes up no jobs any more; see its log, then restart it")
    return jsonify(status="ok")


def list_jobs() -> Response:
    """Return all jobs, newest first."""
    jobs = [job.to_json() for job in reversed(_store().all())]
    return jsonify(data=jobs, meta={"count": len(jobs)})


def submit_job() -> tuple[Response, int]:
    """Queue a job, or return the one that was queued with the same key before."""
    kind, key, params = parse_job(request.get_json())
    job, is_new = _store().submit(kind, key, params)
    if is_new:
        current_app.extensions[RUNNER].wake()
    return jsonify(job_id=job.job_id, kind=job.kind, state=job.state), 202 if is_new else 200


def show_job(job_id: str) -> Response:
    """Return one job."""
    return jsonify(_job(job_id).to_json())


def show_log(job_id: str) -> Response:
    """Return the log of a job from a byte offset on."""
    given = request.args.get("offset", "0")
    offset = number_in(given, 0, _MAX_OFFSET)
    if offset is None:
        raise BadRequestError(f"offset must be a whole number from 0 to {_MAX_OFFSET}, not {shown(given)}")
    text, next_offset, complete = _store().read_log(_job(job_id), offset)
    return jsonify(text=text, next_offset=next_offset, complete=complete)


def _store() -> JobStore:
    store: JobStore = current_app.extensions[STORE]
    return store


def _job(job_id: str) -> Job:
    job = _store().get(job_id)
    if job is None:
        raise _NoSuchJobError(f"there is no job {job_id!r}; GET /jobs lists them")
    return job


class _NoSuchJobError(HTTPException):
    code = 404


def _problem(status: int, detail: str, *, title: str = "") -> Response:
    body = problem.problem_details(status, detail, title=title)
    return Response(json.dumps(body), status, mimetype=problem.MEDIA_TYPE)
