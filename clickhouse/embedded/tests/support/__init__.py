"""Helpers for the tests of the embedded ClickHouse."""
