"""The services of the application that handles the current request."""

from typing import cast

from flask import Flask, current_app

from dataflix_backend.services.container import Services

EXTENSION = "dataflix"


def attach(app: Flask, services: Services) -> None:
    """Make ``services`` available to the views of ``app``."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """Return the services of the current application."""
    return cast("Services", current_app.extensions[EXTENSION])
