"""What the views work with, held by the application."""

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from dataflix_backend.database import Database
from dataflix_backend.serving.knowledge import Knowledge
from dataflix_backend.serving.known_films import KnownFilms
from dataflix_backend.serving.last_known import LastKnown
from dataflix_backend.serving.list_ids import ListIds
from dataflix_backend.serving.popularity import PopularityStandIn
from dataflix_backend.serving.store import ModelStore, Served

_KEY = "dataflix"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that live as long as the worker."""

    database: Database
    store: ModelStore
    stand_in: PopularityStandIn
    list_ids: ListIds
    last_known: LastKnown
    known_films: KnownFilms

    def knowledge(self) -> Knowledge:
        """Return what the present request is to ask: Postgres, or memory where that is away."""
        return Knowledge(self.database, self.last_known, self.known_films)

    def served(self) -> Served | None:
        """Return the model, or its stand-in while there is none; None when there are no films either."""
        return self.store.served or self.stand_in.served()


def attach(app: Flask, services: Services) -> None:
    """Give ``services`` to the views of ``app``."""
    app.extensions[_KEY] = services


def services() -> Services:
    """Return the services of the application that handles the present request."""
    return cast("Services", current_app.extensions[_KEY])
