"""How patient and how talkative MLflow's client is."""

import os

# MLflow's own defaults (7 retries with growing waits, 120 s each) keep a person waiting for minutes. Two
# retries bridge a restart; the artifact proxy may take a while to pass a large model on to S3.
CLIENT_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def limit_mlflow_client() -> None:
    """Set what the environment does not set already."""
    for name, value in CLIENT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
