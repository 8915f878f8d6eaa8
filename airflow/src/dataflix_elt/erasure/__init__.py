"""Removal of deleted users from the warehouse and from its disk."""
