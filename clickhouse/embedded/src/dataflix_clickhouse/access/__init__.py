"""Decides who may log in and what each account may run."""
