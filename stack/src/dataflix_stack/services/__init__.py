"""The services: what they are, how they start, and whether they are healthy."""
