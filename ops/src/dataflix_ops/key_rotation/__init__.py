"""Gives the pseudonyms another key, and sees to it that no old pseudonym is left in the warehouse."""
