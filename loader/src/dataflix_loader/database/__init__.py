"""Loads through Postgres: one transaction, staging tables, and the upsert into the application's tables."""
