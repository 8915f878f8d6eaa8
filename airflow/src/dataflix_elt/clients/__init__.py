"""Connections to what the ELT talks to: Postgres, ClickHouse, the trainer, dbt."""
