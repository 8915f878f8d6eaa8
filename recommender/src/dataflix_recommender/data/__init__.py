"""What a model and a user are made of: arrays, their checks and their form on disk."""
