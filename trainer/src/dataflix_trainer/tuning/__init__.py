"""Searches for better hyperparameters."""
