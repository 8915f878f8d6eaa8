"""gunicorn's threaded worker, which lets idle connections go while it ends."""

from gunicorn.workers.gthread import ThreadWorker

# How late an expired idle connection may be noticed.
_LOOK_EVERY_S = 0.5


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Wakes up in time: the original sleeps through its whole graceful period if one idle client stays."""

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, but never long, so that expired connections are closed meanwhile."""
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_EVERY_S))
