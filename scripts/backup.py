#!/usr/bin/env python3
"""Backs up Postgres, the model artifacts and the warehouse."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_ops.backup.backup_command")
