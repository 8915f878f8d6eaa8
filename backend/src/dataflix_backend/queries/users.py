"""Users."""

from collections.abc import Sequence
from typing import cast

from psycopg2 import errors as pg

from dataflix_backend.database import Database
from dataflix_backend.exceptions import ConflictError, UnknownIdError
from dataflix_backend.queries import pages
from dataflix_backend.schemas.users import NewUser, User, UserQuery, UserSummary

_LIST = """
WITH matching AS (
    SELECT user_id, username, created_at
    FROM users
    WHERE
        (%(user_id)s IS NULL OR user_id = %(user_id)s)
        AND (%(name)s IS NULL OR username_key(username) = username_key(%(name)s))
        AND (
            %(prefix)s IS NULL
            OR (username_key(%(prefix)s) <> '' AND username_key(username) ^@ username_key(%(prefix)s))
        )
)
SELECT
    (SELECT count(*) FROM matching) AS total,
    page.*
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT
        user_id,
        username,
        (SELECT count(*) FROM ratings AS r WHERE r.user_id = m.user_id) AS ratings_count,
        (SELECT count(*) FROM watched_movies AS w WHERE w.user_id = m.user_id) AS watched_count,
        created_at
    FROM matching AS m
    ORDER BY username_key(username) = username_key(%(prefix)s) DESC, user_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
"""

_SHOW = """
SELECT
    user_id, username, email, first_name, last_name, city, state, country, birth_year,
    (SELECT count(*) FROM ratings AS r WHERE r.user_id = u.user_id) AS ratings_count,
    (SELECT count(*) FROM watched_movies AS w WHERE w.user_id = u.user_id) AS watched_count,
    created_at, updated_at
FROM users AS u
WHERE user_id = %(user_id)s
"""

_CREATE = """
INSERT INTO users (username, email, first_name, last_name, city, state, country, birth_year)
VALUES (
    %(username)s, %(email)s, %(first_name)s, %(last_name)s,
    %(city)s, %(state)s, %(country)s, %(birth_year)s
)
RETURNING
    user_id, username, email, first_name, last_name, city, state, country, birth_year,
    0 AS ratings_count, 0 AS watched_count, created_at, updated_at
"""

_DELETED = """
SELECT known.user_id
FROM unnest(%(user_ids)s::bigint[]) AS known (user_id)
WHERE NOT EXISTS (SELECT FROM users AS u WHERE u.user_id = known.user_id)
"""

_UNIQUE_FIELDS = {
    "users_username_key": "username",
    "users_username_look_key": "username",
    "users_email_key": "email",
}


def list_users(database: Database, query: UserQuery) -> tuple[list[UserSummary], int]:
    """Return one page of users and the number of all that match; with a search, an exact match is first."""
    search = query.search()
    parameters = {"user_id": search.user_id, "name": search.name, "prefix": search.prefix}
    rows = database.query(_LIST, {**parameters, "limit": query.limit, "offset": query.offset})
    page, total = pages.split(rows, "user_id")
    return cast("list[UserSummary]", page), total


def get_user(database: Database, user_id: int) -> User:
    """Return a user.

    Raises:
        UnknownIdError: the user does not exist.
    """
    rows = database.query(_SHOW, {"user_id": user_id})
    if not rows:
        raise UnknownIdError("user", user_id)
    return cast("User", rows[0])


def create_user(database: Database, user: NewUser) -> User:
    """Insert a user.

    Raises:
        ConflictError: the username or the e-mail address belongs to another user.
    """
    try:
        rows = database.query(_CREATE, user.model_dump())
    except pg.UniqueViolation as error:
        field = _UNIQUE_FIELDS.get(error.diag.constraint_name or "", "user")
        message = "is taken by another user"
        errors = [{"field": field, "message": message}]
        raise ConflictError(f"This {field} {message}.", errors=errors) from error
    return cast("User", rows[0])


def find_deleted_users(database: Database, user_ids: Sequence[int]) -> list[int]:
    """Return the users among ``user_ids`` that do not exist (any more)."""
    return [row["user_id"] for row in database.query(_DELETED, {"user_ids": list(user_ids)})]
