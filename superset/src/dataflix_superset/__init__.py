"""Sets Superset up: its tables, roles, administrator, and the dashboards of `superset/assets`."""
