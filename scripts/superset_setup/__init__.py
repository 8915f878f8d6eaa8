"""What `scripts/setup_superset.py` does, one concern a module."""
