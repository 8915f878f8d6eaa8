#!/usr/bin/env python3
"""Writes docs/cli.md from the help texts of `dataflix`."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_tools.cli_reference", environment="core-dev")
