"""Asks the running stack, service by service, whether it does what it is there for."""
