#!/usr/bin/env python3
"""Writes the sample data as CSV files."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_loader.sample.generate_command")
