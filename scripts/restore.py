#!/usr/bin/env python3
"""Restores a backup."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_ops.backup.restore_command")
