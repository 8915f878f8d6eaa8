"""Trains, evaluates, registers and promotes Dataflix models."""
