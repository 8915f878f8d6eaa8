#!/usr/bin/env python3
"""Sets Superset up: tables, roles, administrator, dashboards."""

import sys

import _venv

# Superset finds its configuration in the first folder, and the set-up is in the second.
sys.path[:0] = [str(_venv.ROOT / "superset"), str(_venv.ROOT / "superset" / "src")]

if __name__ == "__main__":
    _venv.run("dataflix_superset.command", venv="superset/.venv", environment="superset")
