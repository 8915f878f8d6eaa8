#!/usr/bin/env python3
"""Imports a MovieLens data set into the application's Postgres."""

import _venv

if __name__ == "__main__":
    _venv.run("dataflix_loader.movielens.command")
