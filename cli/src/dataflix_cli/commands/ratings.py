"""dataflix ratings, and dataflix rate."""

from typing import Any

import click

from dataflix_cli import views
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, json_option, page_options, pass_session
from dataflix_cli.stars import parse_stars


class RatingType(click.ParamType[float]):
    """Stars in half steps."""

    name = "rating"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the stars, or fail with the scale."""
        try:
            return parse_stars(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def ratings() -> None:
    """Rate films, take ratings back, and list them."""


@ratings.command()
@click.argument("user")
@click.argument("movie")
@click.argument("rating", type=RatingType())
@click.option("--like", "opinion", flag_value="like", help="Thumb up.")
@click.option("--dislike", "opinion", flag_value="dislike", help="Thumb down.")
@click.option("--no-opinion", "opinion", flag_value="none", help="Take the thumb away.")
@json_option
@pass_session
def add(session: Session, user: str, movie: str, rating: float, opinion: str | None) -> None:
    """Rate MOVIE for USER with RATING, or change the rating.

    USER is an id or a username, MOVIE an id or a title, RATING goes from 0.5 to 5 in half steps. It counts in
    the next recommendations.
    """
    body: dict[str, object] = {
        "user_id": user_id(session.api, user),
        "movie_id": movie_id(session, movie),
        "rating": rating,
    }
    if opinion is not None:
        body["liked"] = {"like": True, "dislike": False, "none": None}[opinion]
    session.show(views.rated, session.api.post("/ratings", body))


@ratings.command()
@click.argument("user")
@click.argument("movie")
@json_option
@pass_session
def remove(session: Session, user: str, movie: str) -> None:
    """Take back the rating of MOVIE by USER, by id or name."""
    of_user, of_movie = user_id(session.api, user), movie_id(session, movie)
    session.api.delete(f"/ratings/{of_user}/{of_movie}")
    session.show(views.removed, {"user_id": of_user, "movie_id": of_movie, "removed": True})


@ratings.command("list")
@click.argument("user")
@page_options
@json_option
@pass_session
def list_ratings(session: Session, user: str, limit: int, offset: int) -> None:
    """List what USER has rated, the latest first."""
    path = f"/ratings/{user_id(session.api, user)}"
    session.show_page(views.ratings, session.api.get(path, limit=limit, offset=offset))
