"""Reads MovieLens data sets, every layout that GroupLens has published, into the application's Postgres."""
