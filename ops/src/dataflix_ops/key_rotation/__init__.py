"""Rotation of the key of the pseudonyms, with a check that the warehouse holds no old pseudonym."""
