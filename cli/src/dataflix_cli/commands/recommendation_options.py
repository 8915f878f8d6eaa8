"""Options that filter and rerank a list of recommendations."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from dataflix_cli.commands.options import RELEASE_YEAR, RUNNING_TIME, as_list, attribute_option
from dataflix_cli.lookup import movie_id
from dataflix_cli.session import Session
from dataflix_common.click_types import FiniteRange

Command = TypeVar("Command", bound=Callable[..., Any])

_SHARE = FiniteRange(0, 1)

_OPTIONS = (
    click.option("--genre", multiple=True, help="Only movies of this genre; repeat it for more genres."),
    click.option("--all-genres", is_flag=True, help="Only movies that have every --genre."),
    click.option("--year-from", type=RELEASE_YEAR, help="Earliest release year."),
    click.option("--year-to", type=RELEASE_YEAR, help="Latest release year."),
    click.option("--minutes-from", type=RUNNING_TIME, help="Shortest running time."),
    click.option("--minutes-to", type=RUNNING_TIME, help="Longest running time."),
    click.option("--min-rating", type=FiniteRange(0.5, 5), help="Lowest mean rating."),
    click.option("--only-new", is_flag=True, help="Only movies that nobody has rated or watched yet."),
    attribute_option,
    click.option("--exclude", multiple=True, metavar="MOVIE", help="Leave out this movie, by id or title."),
    click.option("--diversity", type=_SHARE, help="0: by score only. 1: each movie unlike the others."),
    click.option("--freshness", type=_SHARE, help="0: by score only. 1: the newest movies first."),
    click.option("--popularity", type=_SHARE, help="0: by score only. 1: popular and trending movies first."),
    click.option("--why", is_flag=True, help="Also show how much each of your movies adds to a score."),
)


def recommendation_options(command: Command) -> Command:
    """Add the filters and reranking options; ``request_parameters`` takes all but ``why``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_parameters(
    session: Session,
    *,
    genre: Sequence[str],
    all_genres: bool,
    only_new: bool,
    attribute: Sequence[str],
    exclude: Sequence[str],
    **others: object,
) -> dict[str, Any]:
    """Return the options as the fields of the API's JSON, without those that were not given."""
    parameters: dict[str, Any] = {name: value for name, value in others.items() if value is not None}
    if genre:
        parameters["genre"] = list(genre)
    if all_genres:
        parameters["genre_match"] = "all"
    if only_new:
        parameters["only_new"] = True
    if attribute:
        parameters["attribute"] = list(attribute)
    if exclude:
        parameters["exclude"] = [movie_id(session, name) for name in exclude]
    return parameters


def as_query(parameters: dict[str, Any]) -> dict[str, object]:
    """Return the parameters for a query string, lists as the API takes them there."""
    return {name: _in_query(value) for name, value in parameters.items()}


def _in_query(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return as_list(value) if isinstance(value, list) else value
