"""dataflix ratings, and dataflix rate."""

import click

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import RatingType, json_option, page_options
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, pass_session


@click.group()
def ratings() -> None:
    """Add, remove and list ratings."""


@ratings.command()
@click.argument("user")
@click.argument("movie")
@click.argument("rating", type=RatingType())
@click.option("--like", "thumb", flag_value="like", help="Thumb up.")
@click.option("--dislike", "thumb", flag_value="dislike", help="Thumb down.")
@click.option("--no-opinion", "thumb", flag_value="none", help="Remove the thumb.")
@json_option
@pass_session
def add(session: Session, user: str, movie: str, rating: float, thumb: str | None) -> None:
    """Rate MOVIE for USER with RATING, or change the rating.

    USER is an id or a username, MOVIE an id or a title, RATING is 0.5 to 5 in half steps. The next
    recommendations take it into account.
    """
    body: dict[str, object] = {
        "user_id": user_id(session.api, user),
        "movie_id": movie_id(session, movie),
        "rating": rating,
    }
    if thumb is not None:
        body["liked"] = {"like": True, "dislike": False, "none": None}[thumb]
    session.show(views.rated, session.api.post("/ratings", body))


@ratings.command()
@click.argument("user")
@click.argument("movie")
@json_option
@pass_session
def remove(session: Session, user: str, movie: str) -> None:
    """Remove the rating of MOVIE by USER; both are given by id or name."""
    of_user, of_movie = user_id(session.api, user), movie_id(session, movie)
    session.api.delete(path_of("ratings", of_user, of_movie))
    session.show(views.rating_removed, {"user_id": of_user, "movie_id": of_movie, "removed": True})


@ratings.command("list")
@click.argument("user")
@page_options
@json_option
@pass_session
def list_ratings(session: Session, user: str, limit: int, offset: int) -> None:
    """List the ratings of USER, the latest first."""
    path = path_of("ratings", user_id(session.api, user))
    session.show_page(views.ratings, session.api.get(path, limit=limit, offset=offset))
