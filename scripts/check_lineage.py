#!/usr/bin/env python3
"""Checks by reading files alone where every column comes from, from the application's tables to the API."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_tools.lineage.command", environment="core-dev")
