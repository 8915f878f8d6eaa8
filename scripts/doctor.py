#!/usr/bin/env python3
"""Checks every service of the running stack."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_ops.doctor.command")
