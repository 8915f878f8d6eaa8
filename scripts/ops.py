#!/usr/bin/env python3
"""Issues and verifies certificates of erasures."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_ops.command")
