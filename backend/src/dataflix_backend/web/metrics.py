"""Prometheus metrics, which the workers share through files."""

import os
import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from dataflix_backend.web.access_log import route_template

# Where prometheus_client looks for the shared folder; without it each process counts alone.
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Most answers take one to ten milliseconds; the last bound is the statement timeout.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def register(app: Flask) -> None:
    """Measure the requests of ``app``."""
    registry = CollectorRegistry()
    durations = Histogram(
        "dataflix_http_request_duration_seconds",
        "Time to answer a request.",
        ("method", "route", "status"),
        buckets=_BUCKETS,
        registry=registry,
    )
    app.extensions["dataflix-metrics"] = registry

    @app.after_request
    def _observe(response: Response) -> Response:
        duration_s = time.perf_counter() - g.started
        # Without this, each invented method would make a new time series.
        method = request.method if request.url_rule else "-"
        durations.labels(method, route_template(), str(response.status_code)).observe(duration_s)
        return response


def exposition(app: Flask) -> tuple[bytes, str]:
    """Return the metrics of all workers as Prometheus text, and its media type."""
    registry: CollectorRegistry = app.extensions["dataflix-metrics"]
    if os.environ.get(MULTIPROCESS_VARIABLE):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
