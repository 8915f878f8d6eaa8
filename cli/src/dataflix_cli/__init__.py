"""The Dataflix command line for people."""
