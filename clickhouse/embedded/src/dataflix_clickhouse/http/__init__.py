"""Speaks ClickHouse's HTTP protocol."""
