"""Trains, evaluates, registers and promotes Dataflix models."""

import os

# MLflow's own defaults (7 retries with growing waits, 120 s each) keep a person waiting for minutes. Two
# retries bridge a restart. The artifact proxy may need a while to pass a large model on to S3.
MLFLOW_CLIENT_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

# Here, because MLflow reads some of it when it is imported, and this runs before any import of MLflow.
for _name, _value in MLFLOW_CLIENT_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
