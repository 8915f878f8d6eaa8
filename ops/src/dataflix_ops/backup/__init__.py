"""A backup of what cannot be made again: Postgres, the warehouse, the registry and its artifacts."""
