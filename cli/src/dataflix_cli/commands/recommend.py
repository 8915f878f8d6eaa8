"""dataflix recommend, and dataflix session."""

from typing import Any

import click

from dataflix_cli import views
from dataflix_cli.commands.ratings import RatingType
from dataflix_cli.commands.wishes import as_query, for_api, wish_options
from dataflix_cli.lookup import movie_id, user_id
from dataflix_cli.session import Session, count_option, json_option, pass_session


@click.command()
@click.argument("user")
@count_option
@wish_options
@json_option
@pass_session
def recommend(session: Session, /, user: str, count: int, why: bool, **wishes: Any) -> None:
    """Recommend films to USER, given by id or username, and say why.

    Filters leave films out. Knobs go from 0 to 1 and choose places; without them the score alone does.
    """
    path = f"/recommendations/{user_id(session.api, user)}"
    answer = session.api.get(path, n=count, **as_query(for_api(session, **wishes)))
    session.show(views.explained if why else views.recommendations, answer)


@click.command("session")
@click.option(
    "--rate",
    "rated",
    nargs=2,
    multiple=True,
    type=(str, RatingType()),
    metavar="MOVIE RATING",
    help="A film and its stars; give it again for more films.",
)
@click.option("--watched", multiple=True, metavar="MOVIE", help="A film that was watched, not rated.")
@count_option
@wish_options
@json_option
@pass_session
def anonymous(
    session: Session,
    /,
    rated: tuple[tuple[str, float], ...],
    watched: tuple[str, ...],
    count: int,
    why: bool,
    **wishes: Any,
) -> None:
    """Recommend films to somebody who is no user; nothing is stored.

    Films are given by id or title. Without any, what is popular comes.
    """
    body = {
        **for_api(session, **wishes),
        "ratings": [{"movie_id": movie_id(session, film), "rating": stars} for film, stars in rated],
        "watched": [movie_id(session, film) for film in watched],
        "n": count,
    }
    answer = session.api.post("/recommendations", body)
    session.show(views.explained if why else views.recommendations, answer)
