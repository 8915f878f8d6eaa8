"""Measures models: on the warehouse's holdout, and against baselines on a file of ratings."""
