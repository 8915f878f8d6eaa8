"""Backup and restore of Postgres, the warehouse, the model registry and its artifacts."""
