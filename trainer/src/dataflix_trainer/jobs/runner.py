"""Runs queued jobs one after the other, each as a process of the command ``trainer``."""

import json
import logging
import subprocess
import sys
import threading
from typing import Any

import psutil

from dataflix_trainer.jobs.job import Job, now
from dataflix_trainer.jobs.store import LOG_FILE, OUTPUT_FILE, JobStore

log = logging.getLogger(__name__)

# How soon the end of a process is seen. Even the smallest job takes seconds.
POLL_S = 0.1
# How long a training may take to end before it is killed.
STOP_GRACE_S = 5


class JobRunner:
    """Runs the jobs of a store in order, one at a time: two trainings at once would slow each other down."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-runner", daemon=True)

    def start(self) -> None:
        """Begin to run jobs, first those that an earlier server left running or queued."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the runner still takes up jobs. A full disk, for instance, ends it."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Announce that a job was queued."""
        self._wake.set()

    def stop(self) -> None:
        """End the process of the present job, mark the job as failed, and wait until that is done."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        for job in self._store.all():
            if job.state == "running":
                self._adopt(job)
        while not self._stopping.is_set():
            queued = next((job for job in self._store.all() if job.state == "queued"), None)
            if queued is not None:
                self._run_one(queued)
                continue
            self._wake.wait()
            self._wake.clear()

    def _run_one(self, job: Job) -> None:
        folder = self._store.folder_of(job)
        command = [sys.executable, "-m", "dataflix_trainer.cli", *job.command_line()]
        with (folder / LOG_FILE).open("ab") as log_file, (folder / OUTPUT_FILE).open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=log_file)
        watched = psutil.Process(process.pid)
        job = self._store.update(
            job,
            state="running",
            started_at=now(),
            pid=process.pid,
            process_started=watched.create_time(),
        )
        log.info("event=job_started job_id=%s kind=%s pid=%d", job.job_id, job.kind, process.pid)
        while process.poll() is None:
            if self._stopping.wait(POLL_S):
                process.terminate()
                try:
                    process.wait(STOP_GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._finish(job, f"its process ended with code {process.returncode}")

    def _adopt(self, job: Job) -> None:
        """Wait for a process that an earlier server started and that is still running."""
        while _is_alive(job):
            if self._stopping.wait(POLL_S):
                return  # the job stays marked as running, and the next server adopts it
        self._finish(job, "its process died while the job server was down")

    def _finish(self, job: Job, reason: str) -> None:
        """Store the outcome of a job: what its process printed, or ``reason`` if that is incomplete."""
        printed = self._printed(job)
        if self._stopping.is_set() and printed is None:
            reason = "the job server was stopped"
        error = reason if printed is None else printed.get("error")
        if error is None:
            job = self._store.update(job, state="succeeded", finished_at=now(), result=printed)
        else:
            job = self._store.update(job, state="failed", finished_at=now(), error=error)
        log.info("event=job_finished job_id=%s kind=%s state=%s", job.job_id, job.kind, job.state)

    def _printed(self, job: Job) -> dict[str, Any] | None:
        """Return the JSON document that a command prints at its end; None if it did not."""
        file = self._store.folder_of(job) / OUTPUT_FILE
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None


def _is_alive(job: Job) -> bool:
    if job.pid is None:
        return False
    try:
        process = psutil.Process(job.pid)
        return process.create_time() == job.process_started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
