#!/usr/bin/env python3
"""Loads the sample data into the application's Postgres."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_loader.sample.load_command")
