"""Decides which version serves, and publishes the lists of the version that does."""
