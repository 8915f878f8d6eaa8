"""The REST API: one blueprint for each resource."""

from flask import Flask

from dataflix_backend.resources import (
    blocks,
    charts,
    docs,
    feedback,
    health,
    model,
    movies,
    personal_data,
    ratings,
    recommendations,
    rules,
    source,
    users,
    watched,
)


def register(app: Flask) -> None:
    """Add every route to ``app``."""
    for module in (
        *(users, personal_data, blocks, movies, watched, ratings, recommendations, feedback, rules),
        *(charts, model, source, health, docs),
    ):
        app.register_blueprint(module.blueprint)
