"""Loads whole data sets into the application's Postgres: staged by COPY, merged in one transaction."""
