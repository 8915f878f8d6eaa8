"""dataflix movies, trending, popular and genres."""

import click

from dataflix_cli import views
from dataflix_cli.lookup import movie_id
from dataflix_cli.session import Session, count_option, json_option, page_options, pass_session


@click.group()
def movies() -> None:
    """Search, show and compare films."""


@movies.command("list")
@click.argument("text", required=False)
@click.option("--genre", help="Only films of this genre; dataflix genres lists them.")
@click.option("--year-from", type=click.IntRange(1870, 2100), help="Earliest release year.")
@click.option("--year-to", type=click.IntRange(1870, 2100), help="Latest release year.")
@page_options
@json_option
@pass_session
def list_movies(session: Session, /, text: str | None, **filters: object) -> None:
    """List films, or those with words that begin with TEXT."""
    session.show_page(views.movies, session.api.get("/movies", q=text, **filters))


@movies.command()
@click.argument("movie")
@json_option
@pass_session
def show(session: Session, movie: str) -> None:
    """Show MOVIE, given by id or title."""
    session.show(views.movie, session.api.get(f"/movies/{movie_id(session, movie)}"))


@movies.command()
@click.argument("movie")
@count_option
@json_option
@pass_session
def similar(session: Session, movie: str, count: int) -> None:
    """Show films like MOVIE, given by id or title."""
    found = movie_id(session, movie)
    session.show(views.ranking, session.api.get(f"/movies/{found}/similar", n=count))


@click.command()
@page_options
@json_option
@pass_session
def trending(session: Session, limit: int, offset: int) -> None:
    """Show what people turn to lately."""
    session.show(views.ranking, session.api.get("/trending", limit=limit, offset=offset))


@click.command()
@page_options
@json_option
@pass_session
def popular(session: Session, limit: int, offset: int) -> None:
    """Show what people rate best."""
    session.show(views.ranking, session.api.get("/popular", limit=limit, offset=offset))


@click.command()
@json_option
@pass_session
def genres(session: Session) -> None:
    """List the genres and how many films each has."""
    session.show(views.genres, session.api.get("/genres"))
