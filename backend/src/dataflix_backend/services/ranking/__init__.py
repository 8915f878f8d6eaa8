"""Recommendations, charts and similar movies, from a model and a user's events."""
