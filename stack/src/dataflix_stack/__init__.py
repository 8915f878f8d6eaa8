"""Starts, stops and watches the services of Dataflix: under a process supervisor, or in Docker Compose."""
