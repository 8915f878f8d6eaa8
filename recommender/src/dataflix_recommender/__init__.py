"""The recommendation model as data and maths."""
