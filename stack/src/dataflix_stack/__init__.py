"""The local way of running Dataflix: every service under one process supervisor, no Docker."""
