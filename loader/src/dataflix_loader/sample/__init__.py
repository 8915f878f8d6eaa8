"""Sample data: real movies, invented users, and ratings drawn from a model of latent preferences."""
