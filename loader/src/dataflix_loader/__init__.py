"""Loads MovieLens files and sample data into the application's Postgres."""
