"""Rows for the raw tables, with defaults for the columns that do not matter to a test."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

CREATED_AT = datetime(2024, 1, 1, tzinfo=UTC)
HASH = "0" * 64


def user(user_id: int, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.users."""
    defaults = {
        "user_id": user_id,
        "username_hash": HASH,
        "email_hash": HASH,
        "first_name": "A***",
        "last_name": "***",
        "city": None,
        "state": None,
        "country": None,
        "birth_year": None,
        "created_at": CREATED_AT,
    }
    return _row(defaults, columns)


def movie(movie_id: int, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.movies."""
    defaults = {
        "movie_id": movie_id,
        "title": f"Movie {movie_id}",
        "genres": ["Drama"],
        "release_year": None,
        "director": None,
        "duration_minutes": None,
        "description": None,
        "imdb_id": None,
        "tmdb_id": None,
        "created_at": CREATED_AT,
    }
    return _row(defaults, columns)


def watch(user_id: int, movie_id: int, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.watched_movies."""
    return _row({"user_id": user_id, "movie_id": movie_id, "watched_at": CREATED_AT}, columns)


def rating(user_id: int, movie_id: int, stars: float, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.ratings."""
    defaults = {
        "user_id": user_id,
        "movie_id": movie_id,
        "rating": stars,
        "liked": None,
        "rated_at": CREATED_AT,
    }
    return _row(defaults, columns)


def feedback(recommendation_id: str, movie_id: int, event: str, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.feedback."""
    row = {
        "recommendation_id": recommendation_id,
        "movie_id": movie_id,
        "event": event,
        "user_id": None,
        "position": 1,
        "model_version": "7",
        "listed_at": CREATED_AT,
        "received_at": CREATED_AT,
    }
    return _without_update(row, columns)


def interaction(user_id: int, movie_id: int, kind: str, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.interactions."""
    defaults = {
        "user_id": user_id,
        "movie_id": movie_id,
        "kind": kind,
        "events_count": 1,
        "first_at": CREATED_AT,
        "last_at": CREATED_AT,
        "rating": None,
        "liked": None,
    }
    return _without_update(defaults, columns)


def event_kind(kind: str, weight: float | None, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.event_kinds."""
    return _without_update({"kind": kind, "weight": weight}, columns)


def audit(table: str, finished_at: datetime, *, matches: bool = True, **columns: Any) -> dict[str, Any]:
    """Return a row of raw.load_audit."""
    return columns | {
        "run_id": "test",
        "table_name": table,
        "matches": matches,
        "started_at": finished_at,
        "finished_at": finished_at,
    }


def _without_update(defaults: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    row = _row(defaults, columns)
    del row["updated_at"]
    return row


def _row(defaults: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    load = {
        "updated_at": CREATED_AT,
        "_version": 1,
        "_is_deleted": 0,
        "_extracted_at": datetime.now(UTC),
        "_run_id": "test",
    }
    row = {**defaults, **load}
    unknown = columns.keys() - row.keys()
    assert not unknown, f"no such columns: {unknown}"
    return {**row, **columns}
