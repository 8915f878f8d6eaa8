"""Sample data: real films, invented people, and ratings drawn from a model of latent tastes."""
