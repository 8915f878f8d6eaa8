"""dataflix rules."""

from datetime import datetime

import click

from dataflix_cli import rule_views
from dataflix_cli.client import path_of
from dataflix_cli.commands.options import LOCAL_TIME, api_time, json_option, page_options, until_option
from dataflix_cli.lookup import movie_id
from dataflix_cli.session import Session, pass_session
from dataflix_common.click_types import FiniteRange

KINDS = ("pin", "boost", "bury")
# What the API takes when none is given; a test compares both.
DEFAULT_PLACE = 1
DEFAULT_STRENGTH = 0.5


@click.group()
def rules() -> None:
    """Pin, boost and bury movies in all lists for a time."""


@rules.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("movie")
@click.option("--owner", required=True, help="The person or team that is responsible for the rule.")
@until_option(required=True)
@click.option(
    "--from", "start", type=LOCAL_TIME, show_default="now", help="When the rule starts, in local time."
)
@click.option(
    "--place",
    type=click.IntRange(1, 100),
    show_default=str(DEFAULT_PLACE),
    help="For a pin: the position in the list.",
)
@click.option(
    "--strength",
    type=FiniteRange(0, 1, min_open=True),
    show_default=str(DEFAULT_STRENGTH),
    help="For a boost: the share of the range of scores that is added.",
)
@click.option("--note", help="Why the rule exists.")
@json_option
@pass_session
def add(
    session: Session,
    /,
    kind: str,
    movie: str,
    until: datetime,
    start: datetime | None,
    **others: object,
) -> None:
    """Add a rule of this KIND for MOVIE, given by id or title.

    pin puts the movie at a position, boost moves it up, bury moves it behind all others. No rule shows a
    movie that the user has seen, blocked or filtered out.
    """
    body: dict[str, object] = {"kind": kind, "movie_id": movie_id(session, movie), "ends_at": api_time(until)}
    if start is not None:
        body["starts_at"] = api_time(start)
    body |= {name: value for name, value in others.items() if value is not None}
    session.show(rule_views.rule_added, session.api.post("/rules", body))


@rules.command("list")
@click.option("--all", "include_inactive", is_flag=True, help="Also rules that ended or have not started.")
@page_options
@json_option
@pass_session
def list_rules(session: Session, include_inactive: bool, limit: int, offset: int) -> None:
    """List the active rules."""
    state = "all" if include_inactive else "active"
    session.show_page(rule_views.rules, session.api.get("/rules", state=state, limit=limit, offset=offset))


@rules.command()
@click.argument("rule", type=click.IntRange(1))
@json_option
@pass_session
def remove(session: Session, rule: int) -> None:
    """Remove RULE, given by its id."""
    session.api.delete(path_of("rules", rule))
    session.show(rule_views.rule_removed, {"rule_id": rule, "removed": True})
