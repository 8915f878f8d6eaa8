"""One blueprint per resource."""

from flask import Flask

from dataflix_backend.resources import (
    charts,
    docs,
    health,
    model,
    movies,
    ratings,
    recommendations,
    users,
    watched,
)


def register(app: Flask) -> None:
    """Add every route to ``app``."""
    for module in (users, movies, watched, ratings, recommendations, charts, model, health, docs):
        app.register_blueprint(module.blueprint)
