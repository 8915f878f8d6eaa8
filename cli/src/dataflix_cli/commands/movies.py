"""dataflix movies, trending, popular and genres."""

import click

from dataflix_cli import views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import (
    RELEASE_YEAR,
    RUNNING_TIME,
    as_list,
    attribute_option,
    json_option,
    limit_option,
    page_options,
)
from dataflix_cli.lookup import movie_id
from dataflix_cli.session import Session, pass_session


@click.group()
def movies() -> None:
    """Search, show and compare movies."""


@movies.command("list")
@click.argument("text", required=False)
@click.option("--genre", help="Only movies of this genre; dataflix genres lists them.")
@click.option("--year-from", type=RELEASE_YEAR, help="Earliest release year.")
@click.option("--year-to", type=RELEASE_YEAR, help="Latest release year.")
@attribute_option
@page_options
@json_option
@pass_session
def list_movies(session: Session, /, text: str | None, attribute: tuple[str, ...], **filters: object) -> None:
    """List movies, or those with a title word that starts with TEXT."""
    wanted = as_list(attribute)
    session.show_page(views.movies, session.api.get("/movies", q=text, attribute=wanted, **filters))


@movies.command()
@click.argument("movie")
@json_option
@pass_session
def show(session: Session, movie: str) -> None:
    """Show MOVIE, given by id or title."""
    session.show(views.movie, session.api.get(path_of("movies", movie_id(session, movie))))


@movies.command()
@click.argument("title")
@click.option("--genre", "genres", multiple=True, help="A genre of it; repeat it for more genres.")
@click.option("--year", "release_year", type=RELEASE_YEAR, help="Release year.")
@click.option("--director", help="Who directed it.")
@click.option("--minutes", "duration_minutes", type=RUNNING_TIME, help="Running time.")
@click.option("--description", help="What it is about.")
@click.option("--imdb-id", help="Its id at IMDb, such as tt0130827.")
@click.option("--tmdb-id", type=click.IntRange(min=1), help="Its id at TMDB.")
@click.option(
    "--allow-same-title", is_flag=True, help="Add it although there is a movie with this title and year."
)
@json_option
@pass_session
def add(session: Session, /, title: str, genres: tuple[str, ...], **fields: object) -> None:
    """Add a movie called TITLE.

    It can be watched and rated at once. Recommendations have it after the next pipeline run.
    """
    given = {name: value for name, value in fields.items() if value}
    session.show(views.movie, session.api.post("/movies", {"title": title, "genres": list(genres), **given}))


@movies.command()
@click.argument("movie")
@attribute_option
@limit_option
@json_option
@pass_session
def similar(session: Session, movie: str, attribute: tuple[str, ...], limit: int) -> None:
    """Show movies that are similar to MOVIE, given by id or title."""
    path = path_of("movies", movie_id(session, movie), "similar")
    session.show(views.ranking, session.api.get(path, attribute=as_list(attribute), limit=limit))


@click.command()
@attribute_option
@page_options
@json_option
@pass_session
def trending(session: Session, /, attribute: tuple[str, ...], **page: int) -> None:
    """Show the movies with the most recent activity."""
    session.show(views.ranking, session.api.get("/trending", attribute=as_list(attribute), **page))


@click.command()
@attribute_option
@page_options
@json_option
@pass_session
def popular(session: Session, /, attribute: tuple[str, ...], **page: int) -> None:
    """Show the movies with the best ratings."""
    session.show(views.ranking, session.api.get("/popular", attribute=as_list(attribute), **page))


@click.command()
@json_option
@pass_session
def genres(session: Session) -> None:
    """List the genres and the number of movies in each."""
    session.show(views.genres, session.api.get("/genres"))
