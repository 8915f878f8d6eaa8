"""Imports MovieLens data sets, in every format of GroupLens, into the application's Postgres."""
