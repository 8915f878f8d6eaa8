"""Jobs on disk: a folder for each, with a state file that is replaced atomically."""

import codecs
import json
import os
import shutil
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataflix_common.files import replace_file
from dataflix_trainer.errors import TrainerError
from dataflix_trainer.jobs.job import Job, Kind, now

STATE_FILE = "job.json"
LOG_FILE = "log.txt"
OUTPUT_FILE = "output.json"
# A daily pipeline starts three jobs, so these are the jobs of half a year.
KEPT_JOBS = 540
LOG_CHUNK = 256 * 1024  # bytes in one answer


class KeyConflictError(TrainerError):
    """An idempotency key belongs to another request."""


class JobStore:
    """All jobs; safe to use from several threads of one process."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, and create it if needed.

        Raises:
            OSError: the folder cannot be used.
            TrainerError: a state file in it is damaged.
        """
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        jobs = [_read(file) for file in folder.glob(f"*/{STATE_FILE}")]
        self._jobs = {job.job_id: job for job in sorted(jobs, key=lambda job: job.created_at)}

    def submit(self, kind: Kind, key: str, params: dict[str, str]) -> tuple[Job, bool]:
        """Return the job of ``key`` and whether it is new.

        After a job failed, its key starts a new job.

        Raises:
            KeyConflictError: the key belongs to a job of another kind or with other parameters.
        """
        with self._lock:
            earlier = next((job for job in reversed(self._jobs.values()) if job.key == key), None)
            if earlier is not None:
                if (earlier.kind, earlier.params) != (kind, params):
                    raise KeyConflictError(
                        f"the key {key!r} belongs to job {earlier.job_id}, another request; use a new key"
                    )
                if earlier.state != "failed":
                    return earlier, False
            job = Job(uuid.uuid4().hex, kind, key, params, "queued", created_at=now())
            self.folder_of(job).mkdir(mode=0o700)
            self._save(job)
            self._remove_oldest()
            return job, True

    def update(self, job: Job, **changes: Any) -> Job:
        """Store and return ``job`` with ``changes``."""
        with self._lock:
            return self._save(replace(job, **changes))

    def get(self, job_id: str) -> Job | None:
        """Return one job."""
        with self._lock:
            return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def folder_of(self, job: Job) -> Path:
        """Return the folder of a job's files."""
        return self._folder / job.job_id

    def read_log(self, job: Job, offset: int) -> tuple[str, int, bool]:
        """Return log text from byte ``offset``, the next offset, and whether the log is complete.

        A character whose last byte is not written yet is left for the next call.
        """
        file = self.folder_of(job) / LOG_FILE
        if not file.exists():
            return "", 0, job.is_finished
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = stream.seek(min(offset, size))
            chunk = stream.read(LOG_CHUNK)
        is_end = job.is_finished and start + len(chunk) >= size
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(chunk, final=is_end)
        unread, _ = decoder.getstate()
        return text, start + len(chunk) - len(unread), is_end

    def _save(self, job: Job) -> Job:
        replace_file(self.folder_of(job) / STATE_FILE, json.dumps(job.to_dict()))
        self._jobs[job.job_id] = job
        return job

    def _remove_oldest(self) -> None:
        finished = [job for job in self._jobs.values() if job.is_finished]
        for job in finished[: max(0, len(self._jobs) - KEPT_JOBS)]:
            shutil.rmtree(self.folder_of(job), ignore_errors=True)
            del self._jobs[job.job_id]


def _read(file: Path) -> Job:
    try:
        return Job.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrainerError(f"{file} is not the state of a job ({error}); remove its folder") from error
