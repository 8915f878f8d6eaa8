"""Ranking rules."""

from typing import cast

from psycopg2 import errors as pg

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnknownIdError
from dataflix_backend.queries import pages
from dataflix_backend.queries.events import already_ended
from dataflix_backend.schemas.rules import NewRule, Rule, RuleQuery

_LIST = """
WITH matching AS (
    SELECT *, starts_at <= now() AND ends_at > now() AS is_active
    FROM ranking_rules
)
SELECT
    (SELECT count(*) FROM matching WHERE is_active OR %(all)s) AS total,
    page.*
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT
        r.rule_id, r.movie_id, m.title, r.kind, r.place, r.strength, r.owner, r.note,
        r.starts_at, r.ends_at, r.created_at, r.is_active
    FROM matching AS r
    INNER JOIN movies AS m ON r.movie_id = m.movie_id
    WHERE r.is_active OR %(all)s
    ORDER BY r.ends_at DESC, r.rule_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
"""

_WRITE = """
WITH stored AS (
    INSERT INTO ranking_rules (movie_id, kind, place, strength, owner, note, starts_at, ends_at)
    SELECT
        movie_id, %(kind)s, %(place)s, %(strength)s, %(owner)s, %(note)s,
        coalesce(%(starts_at)s, now()), %(ends_at)s
    FROM movies
    WHERE movie_id = %(movie_id)s
    RETURNING *
)
SELECT
    r.rule_id, r.movie_id, m.title, r.kind, r.place, r.strength, r.owner, r.note,
    r.starts_at, r.ends_at, r.created_at, r.starts_at <= now() AND r.ends_at > now() AS is_active
FROM stored AS r
INNER JOIN movies AS m ON r.movie_id = m.movie_id
"""

_DELETE = "DELETE FROM ranking_rules WHERE rule_id = %(rule_id)s RETURNING rule_id"


def list_rules(database: Database, query: RuleQuery) -> tuple[list[Rule], int]:
    """Return one page of rules and the number of all that match."""
    parameters = {"all": query.state == "all", "limit": query.limit, "offset": query.offset}
    page, total = pages.split(database.query(_LIST, parameters), "rule_id")
    return cast("list[Rule]", page), total


def write_rule(database: Database, rule: NewRule) -> Rule:
    """Insert a rule.

    Raises:
        UnknownIdError: the movie does not exist.
        InvalidInputError: the rule has already ended.
    """
    try:
        rows = database.query(_WRITE, rule.model_dump())
    except pg.ForeignKeyViolation as error:
        # The movie was deleted after the statement had read it.
        raise UnknownIdError("movie", rule.movie_id) from error
    except pg.CheckViolation as error:
        raise already_ended("ends_at") from error
    if not rows:
        raise UnknownIdError("movie", rule.movie_id)
    return cast("Rule", rows[0])


def delete_rule(database: Database, rule_id: int) -> None:
    """Delete a rule.

    Raises:
        UnknownIdError: the rule does not exist.
    """
    if not database.query(_DELETE, {"rule_id": rule_id}):
        raise UnknownIdError("rule", rule_id)
