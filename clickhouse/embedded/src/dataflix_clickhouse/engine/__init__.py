"""Runs chDB: connections, thread pools, and the pipes that carry data in and out."""
