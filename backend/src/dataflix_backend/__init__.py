"""The Dataflix recommendation API."""
