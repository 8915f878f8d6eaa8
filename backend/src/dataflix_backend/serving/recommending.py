"""Ranked films for a user, for a film, and for everybody: only films that lie in Postgres at this moment."""

from collections.abc import Callable, Sequence

from dataflix_backend.database import Database, Row
from dataflix_backend.errors import NotFoundProblem
from dataflix_backend.queries.history import user_events
from dataflix_backend.queries.movies import films_by_id
from dataflix_backend.schemas import movies, recommendations
from dataflix_backend.serving.store import Served
from dataflix_recommender import History, Recommendation

# When ranked films turn out to be gone from Postgres, how much further each next look reaches.
REACH_GROWTH = 4

Ranked = list[tuple[int, float]]


def recommend(
    database: Database, served: Served, user_id: int, n: int
) -> list[recommendations.Recommendation]:
    """Return the best ``n`` films that the user has neither rated nor watched, fewer only if fewer exist.

    The user is folded in from the events that lie in Postgres now. Raises NotFoundProblem for an unknown
    user.
    """
    events = user_events(database, user_id)
    if events is None:
        raise NotFoundProblem("user", user_id)
    model = served.model
    history = History.from_events(events, model.weights)
    gone: set[int] = set()
    reach = n
    while True:
        ranked = model.recommend(history, n, exclude=gone)
        films = films_by_id(database, [item.movie_id for item in ranked])
        if len(films) == len(ranked):
            return [_recommendation(item, films[item.movie_id]) for item in ranked]
        reach = min(reach * REACH_GROWTH, model.size)
        further = model.recommend(history, reach, exclude=gone, explain=False)
        wanted = {item.movie_id for item in further}
        gone |= wanted - films_by_id(database, list(wanted)).keys()


def present(
    database: Database, ranking: Callable[[int], Ranked], limit: int, offset: int = 0
) -> list[movies.RankedMovie]:
    """Return one page of ``ranking(n)``, its best n films, counting only films that lie in Postgres."""
    reach = offset + limit
    while True:
        ranked = ranking(reach)
        films = films_by_id(database, [movie_id for movie_id, _ in ranked])
        found = [(films[movie_id], score) for movie_id, score in ranked if movie_id in films]
        if len(found) >= offset + limit or len(ranked) < reach:
            return ranked_movies(found[offset : offset + limit], offset)
        reach *= REACH_GROWTH


def ranked_movies(found: Sequence[tuple[Row, float]], offset: int = 0) -> list[movies.RankedMovie]:
    """Return films with their scores as rows of a ranking whose first ``offset`` rows were skipped."""
    return [
        {
            "movie_id": film["movie_id"],
            "title": film["title"],
            "genres": film["genres"],
            "release_year": film["release_year"],
            "score": score,
            "rank": rank,
        }
        for rank, (film, score) in enumerate(found, start=offset + 1)
    ]


def _recommendation(item: Recommendation, film: Row) -> recommendations.Recommendation:
    reason = item.reason
    if reason is None:
        raise ValueError(f"movie {item.movie_id} was recommended without a reason")
    return {
        "movie_id": item.movie_id,
        "title": film["title"],
        "genres": film["genres"],
        "release_year": film["release_year"],
        "score": item.score,
        "rank": item.rank,
        "reason": {
            "kind": reason.kind,
            "text": reason.text,
            "because": [
                {
                    "movie_id": part.movie_id,
                    "title": part.title,
                    "rating": part.rating,
                    "contribution": part.contribution,
                }
                for part in reason.because
            ],
            "other": reason.other,
        },
    }
