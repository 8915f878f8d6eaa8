"""Certificates of erasures: signed, naming nobody, with a retraining that gives the same bytes."""
