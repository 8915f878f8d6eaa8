"""Runs queries on the engine: sessions, execution, cancellation."""
