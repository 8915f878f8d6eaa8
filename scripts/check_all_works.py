#!/usr/bin/env python3
"""The former name of scripts/doctor.py."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_ops.doctor.command")
