"""Measures models on a file of ratings: protocols, tuning, figures with intervals. It needs no service."""
