"""Extract and load from Postgres into ClickHouse."""
