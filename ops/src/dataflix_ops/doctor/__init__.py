"""Checks whether each service of the running stack does its work."""
