"""Follows every column from the application's tables to the API and the dashboards, by reading files alone.

How: columns inside SQL (masked views, dbt models, the trainer's queries) are followed by parsing the SQL,
Python files by parsing Python, documents (dbt's yml, Superset's yaml, the OpenAPI document) by their keys.
What only code does (numbers the API counts, what a model learns) is declared in `declared.py`, and every
declaration is checked to name things that exist.
"""
