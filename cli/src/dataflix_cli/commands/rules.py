"""dataflix rules."""

from datetime import datetime

import click

from dataflix_cli import rule_views
from dataflix_cli.commands.moments import MOMENT, for_api, until_option
from dataflix_cli.lookup import movie_id
from dataflix_cli.session import Session, json_option, page_options, pass_session

KINDS = ("pin", "boost", "bury")


@click.group()
def rules() -> None:
    """Pin, boost and bury films in everybody's lists for a time."""


@rules.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("movie")
@click.option("--owner", required=True, help="Who answers for the rule: a person or a team.")
@until_option(required=True)
@click.option("--from", "start", type=MOMENT, help="When it begins, in local time; now if left out.")
@click.option("--place", type=click.IntRange(1, 100), help="Of a pin: the place; the first if left out.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 1, min_open=True),
    help="Of a boost: what part of the way from worst to best is added; 0.5 if left out.",
)
@click.option("--note", help="Why there is the rule.")
@json_option
@pass_session
def add(
    session: Session,
    /,
    kind: str,
    movie: str,
    until: datetime,
    start: datetime | None,
    **more: object,
) -> None:
    """Make a rule: KIND is what becomes of MOVIE, an id or title.

    pin puts it at a place, boost moves it up, bury behind all others. No rule shows anybody what was seen,
    blocked or filtered out.
    """
    body: dict[str, object] = {"kind": kind, "movie_id": movie_id(session, movie), "ends_at": for_api(until)}
    if start is not None:
        body["starts_at"] = for_api(start)
    body |= {name: value for name, value in more.items() if value is not None}
    session.show(rule_views.rule_made, session.api.post("/rules", body))


@rules.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that have ended or not begun yet.")
@page_options
@json_option
@pass_session
def list_rules(session: Session, every: bool, limit: int, offset: int) -> None:
    """List the rules in force."""
    state = "all" if every else "active"
    session.show_page(rule_views.rules, session.api.get("/rules", state=state, limit=limit, offset=offset))


@rules.command()
@click.argument("rule", type=click.IntRange(1))
@json_option
@pass_session
def remove(session: Session, rule: int) -> None:
    """Delete RULE, given by its id."""
    session.api.delete(f"/rules/{rule}")
    session.show(rule_views.rule_removed, {"rule_id": rule, "removed": True})
