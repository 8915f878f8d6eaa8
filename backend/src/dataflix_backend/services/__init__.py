"""What the API does, independent of HTTP.

Reads and writes of a single SQL statement have no service: their callers use ``queries``.
"""
