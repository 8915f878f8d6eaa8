"""Airflow writes its configuration into its home when it is imported, so that is a folder of the tests."""

import os
import tempfile

_HOME = tempfile.TemporaryDirectory(prefix="dataflix-airflow-")
os.environ["AIRFLOW_HOME"] = _HOME.name
