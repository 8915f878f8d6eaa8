"""The process that serves: gunicorn, its configuration and its workers."""
