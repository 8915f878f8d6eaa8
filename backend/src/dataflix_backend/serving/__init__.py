"""From the synchronised model and a user's events to ranked films."""
