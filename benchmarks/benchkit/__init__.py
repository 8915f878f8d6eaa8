"""What the benchmarks share: data, timing, memory, figures, tables and plots."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE_PYTHON = ROOT / ".venv" / "bin" / "python"
ELT_PYTHON = ROOT / "airflow" / ".venv" / "bin" / "python"
WORKERS = ROOT / "benchmarks" / "workers"

# The services of the tests, and what they need to start a Postgres cluster.
for folder in ("tests/testkit/src", "stack/src", "scripts"):
    if str(ROOT / folder) not in sys.path:
        sys.path.append(str(ROOT / folder))
