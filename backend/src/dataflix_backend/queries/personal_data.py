"""Export and erasure of one person's data."""

from typing import Any, cast

from dataflix_backend.database import Database
from dataflix_backend.exceptions import UnknownIdError
from dataflix_backend.schemas.fields import stored_time
from dataflix_backend.schemas.personal_data import Erasure, PersonalExport

_RECORD = """
SELECT
    erasure_id, requested_at, ratings_count, watched_count, blocks_count, feedback_count, interactions_count,
    verified_at, warehouse_rows_count, scanned_bytes_count
"""
_ERASE = _RECORD + "FROM erase_user(%(user_id)s)"
_SHOW = _RECORD + "FROM erasures WHERE erasure_id = %(erasure_id)s"

# One statement sees one moment, so all parts of the export fit together.
_EXPORT = """
SELECT
    now() AS exported_at,
    (
        SELECT to_jsonb(found)
        FROM (
            SELECT
                u.user_id, u.username, u.email, u.first_name, u.last_name, u.city, u.state, u.country,
                u.birth_year,
                (SELECT count(*) FROM ratings AS r WHERE r.user_id = u.user_id) AS ratings_count,
                (SELECT count(*) FROM watched_movies AS w WHERE w.user_id = u.user_id) AS watched_count,
                u.created_at, u.updated_at
        ) AS found
    ) AS "user",
    (
        SELECT coalesce(jsonb_agg(to_jsonb(found)), '[]')
        FROM (
            SELECT r.movie_id, m.title, r.rating, r.liked, r.rated_at, r.updated_at
            FROM ratings AS r INNER JOIN movies AS m ON r.movie_id = m.movie_id
            WHERE r.user_id = u.user_id
            ORDER BY r.rated_at, r.movie_id
        ) AS found
    ) AS ratings,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(found)), '[]')
        FROM (
            SELECT w.movie_id, m.title, w.watched_at, w.updated_at
            FROM watched_movies AS w INNER JOIN movies AS m ON w.movie_id = m.movie_id
            WHERE w.user_id = u.user_id
            ORDER BY w.watched_at, w.movie_id
        ) AS found
    ) AS watched,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(found)), '[]')
        FROM (
            SELECT b.movie_id, m.title, b.owner, b.ends_at, b.created_at
            FROM user_blocks AS b INNER JOIN movies AS m ON b.movie_id = m.movie_id
            WHERE b.user_id = u.user_id
            ORDER BY b.created_at, b.movie_id
        ) AS found
    ) AS blocks,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(found)), '[]')
        FROM (
            SELECT
                f.recommendation_id, f.movie_id, m.title, f.event, f.position, f.model_version,
                f.listed_at, f.received_at
            FROM feedback AS f INNER JOIN movies AS m ON f.movie_id = m.movie_id
            WHERE f.user_id = u.user_id
            ORDER BY f.received_at, f.recommendation_id, f.movie_id, f.event
        ) AS found
    ) AS feedback,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(found)), '[]')
        FROM (
            SELECT
                x.movie_id, m.title, coalesce(i.attributes, '{}') AS attributes, x.kind, x.events_count,
                x.first_at, x.last_at, x.rating, x.liked
            FROM interactions AS x
            INNER JOIN movies AS m ON x.movie_id = m.movie_id
            LEFT JOIN source.items AS i ON x.movie_id = i.movie_id
            WHERE x.user_id = u.user_id
            ORDER BY x.first_at, x.movie_id, x.kind
        ) AS found
    ) AS interactions,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(found)), '[]')
        FROM (
            SELECT k.name, k.scopes, k.created_at, k.revoked_at
            FROM access.api_keys AS k
            WHERE k.user_id = u.user_id
            ORDER BY k.key_id
        ) AS found
    ) AS api_keys
FROM users AS u
WHERE u.user_id = %(user_id)s
"""


def erase_user(database: Database, user_id: int) -> Erasure:
    """Delete a user and all of the user's data; returns the record of the erasure.

    Raises:
        UnknownIdError: the user does not exist.
    """
    rows = database.query(_ERASE, {"user_id": user_id})
    if not rows:
        raise UnknownIdError("user", user_id)
    return cast("Erasure", rows[0])


def get_erasure(database: Database, erasure_id: int) -> Erasure:
    """Return the record of an erasure.

    Raises:
        UnknownIdError: there is no such record.
    """
    rows = database.query(_SHOW, {"erasure_id": erasure_id})
    if not rows:
        raise UnknownIdError("erasure", erasure_id)
    return cast("Erasure", rows[0])


def export_user(database: Database, user_id: int) -> PersonalExport:
    """Return everything that is stored about a user.

    Raises:
        UnknownIdError: the user does not exist.
    """
    rows = database.query(_EXPORT, {"user_id": user_id})
    if not rows:
        raise UnknownIdError("user", user_id)
    return cast("PersonalExport", _with_times(rows[0]))


def _with_times(value: Any) -> Any:
    """Parse the times of nested rows: Postgres puts them into JSON as text."""
    if isinstance(value, list):
        return [_with_times(part) for part in value]
    if isinstance(value, dict):
        return {name: _member_with_times(name, part) for name, part in value.items()}
    return value


def _member_with_times(name: str, part: Any) -> Any:
    if name == "attributes":
        # Of an item, under names of the application.
        return part
    return stored_time(part) if name.endswith("_at") and isinstance(part, str) else _with_times(part)
