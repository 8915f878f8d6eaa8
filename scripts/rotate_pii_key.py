#!/usr/bin/env python3
"""Replaces the key of the pseudonyms."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_ops.key_rotation.command")
