"""Follows every column from the application's tables to the API and the dashboards, by reading files alone.

SQL (masked views, dbt models, the trainer's queries) is parsed by sqlglot, Python by `ast`. Documents (dbt's
yml, Superset's yaml, the OpenAPI document) are followed by their keys. What only code does, such as a count
in the API, is declared in `declared.py`, and a declaration that names something unknown is a finding.
"""
