"""dataflix recommend, and dataflix session."""

from typing import Any

import click

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import RatingType, json_option, limit_option
from dataflix_cli.commands.recommendation_options import (
    as_query,
    recommendation_options,
    request_parameters,
)
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, pass_session


@click.command()
@click.argument("user")
@limit_option
@recommendation_options
@json_option
@pass_session
def recommend(session: Session, /, user: str, limit: int, why: bool, **options: Any) -> None:
    """Recommend movies to USER, given by id or username, with reasons.

    Filters leave movies out. --diversity, --freshness and --popularity rerank the list.
    """
    path = path_of("recommendations", user_id(session.api, user))
    answer = session.api.get(path, limit=limit, **as_query(request_parameters(session, **options)))
    session.show(views.explained_recommendations if why else views.recommendations, answer)


@click.command("session")
@click.option(
    "--rate",
    "rated",
    nargs=2,
    multiple=True,
    type=(str, RatingType()),
    metavar="MOVIE RATING",
    help="A movie and its stars; repeat it for more movies.",
)
@click.option(
    "--watched",
    multiple=True,
    metavar="MOVIE",
    help="A movie that was watched but not rated; repeat it for more movies.",
)
@limit_option
@recommendation_options
@json_option
@pass_session
def recommend_to_session(
    session: Session,
    /,
    rated: tuple[tuple[str, float], ...],
    watched: tuple[str, ...],
    limit: int,
    why: bool,
    **options: Any,
) -> None:
    """Recommend movies to a guest without storing anything.

    Movies are given by id or title. Without any, the list shows popular movies.
    """
    body = {
        **request_parameters(session, **options),
        "ratings": [{"movie_id": movie_id(session, movie), "rating": stars} for movie, stars in rated],
        "watched": [movie_id(session, movie) for movie in watched],
        "limit": limit,
    }
    answer = session.api.post("/recommendations", body)
    session.show(views.explained_recommendations if why else views.recommendations, answer)
