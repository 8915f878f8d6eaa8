"""Ranked films for a user, for a film, and for everybody: only films that lie in Postgres at this moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dataflix_backend.database import Row
from dataflix_backend.queries.history import ActiveRule, Ground
from dataflix_backend.schemas import movies, recommendations
from dataflix_backend.schemas.wishes import Wishes
from dataflix_backend.serving.film_rules import FilmRules
from dataflix_backend.serving.knowledge import Knowledge
from dataflix_backend.serving.store import Served
from dataflix_recommender import Event, Events, History, Model, Recommendation, Reranker

# When ranked films turn out to be gone from Postgres, how much further each next look reaches.
REACH_GROWTH = 4

Ranked = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: its films, how many could have been in it, and films of the history that the model ignores."""

    films: list[recommendations.Recommendation]
    eligible: int
    ignored: list[int]


def recommend_to_user(knowledge: Knowledge, served: Served, user_id: int, wishes: Wishes) -> Listed:
    """Return the best films that the user has neither rated, watched nor blocked; see ``recommend``.

    The user is folded in from the events that lie in Postgres now. Raises NotFoundProblem for an unknown
    user.
    """
    return recommend(knowledge, served, knowledge.ground(user_id), wishes)


def recommend_to_session(
    knowledge: Knowledge, served: Served, events: Sequence[Event], wishes: Wishes
) -> Listed:
    """Return the best films for somebody who told ``events``; see ``recommend``. Nothing is stored."""
    known = knowledge.ground(None)
    return recommend(knowledge, served, Ground(Events.from_rows(events), [], known.rules), wishes)


def recommend(knowledge: Knowledge, served: Served, known: Ground, wishes: Wishes) -> Listed:
    """Return the best ``wishes.n`` films under wishes and rules, fewer only if fewer exist."""
    model = served.model
    profile = model.user_profile(History.from_events(known.events, model.weights))
    rules = FilmRules.of(known.rules, model)
    reranker = Reranker(model.item_features, wishes.knobs, rules.places)
    left_out = {*known.blocked, *wishes.exclude}
    eligible = profile.eligible(left_out, wishes.filter.mask(model.catalogue))
    reach = wishes.n
    while True:
        ranked = profile.recommend(wishes.n, eligible, reranker=reranker)
        films = knowledge.films([item.item_id for item in ranked], model)
        if len(films) == len(ranked):
            break
        reach = min(reach * REACH_GROWTH, model.size)
        further = profile.recommend(reach, eligible, reranker=reranker, explain=False)
        wanted = {item.item_id for item in further}
        gone = wanted - knowledge.films(list(wanted), model).keys()
        eligible[model.positions(list(gone))] = False
    return Listed(
        [_recommendation(item, films[item.item_id], rules.applied.get(item.item_id)) for item in ranked],
        int(np.count_nonzero(eligible)),
        profile.unknown_item_ids.tolist(),
    )


def present(
    knowledge: Knowledge, model: Model, ranking: Callable[[int], Ranked], limit: int, offset: int = 0
) -> list[movies.RankedMovie]:
    """Return one page of ``ranking(n)``, the model's best n films, counting only those in Postgres."""
    reach = offset + limit
    while True:
        ranked = ranking(reach)
        films = knowledge.films([movie_id for movie_id, _ in ranked], model)
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


def _recommendation(
    item: Recommendation, film: Row, rule: ActiveRule | None
) -> recommendations.Recommendation:
    reason = item.reason
    if reason is None:
        raise ValueError(f"movie {item.item_id} was recommended without a reason")
    return {
        "movie_id": item.item_id,
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
                    "movie_id": part.item_id,
                    "title": part.title,
                    "rating": part.rating,
                    "contribution": part.value,
                }
                for part in reason.contributions
            ],
            "other": reason.remainder,
        },
        "rule": {"rule_id": rule.rule_id, "kind": rule.kind} if rule else None,
    }
